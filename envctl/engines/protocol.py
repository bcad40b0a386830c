"""The interface between the life cycle of an instance and the engine that runs its services. It has only the methods that are called.

    Engine            a daemon, a cluster or this machine: allocates, finds and removes instances
    RunningInstance   an existing instance, known only by its id: can be inspected
    Deployment        an instance with its plan: can be created, started and filled with data

What only some engines can do is an optional Protocol, which callers check with `isinstance`. An engine never reads or writes an
instance's record: it gets what it needs in `DeploymentSettings`, and returns what has to be stored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from envctl.errors import EnvctlError
from envctl.instance import labels
from envctl.instance.allocation import Allocation, PortKey
from envctl.plan.traits import Addresses
from envctl.process.attached import Attached
from envctl.process.creation import InFlight

if TYPE_CHECKING:
    from envctl.instance.record import Location, SnapshotRecord
    from envctl.plan.model import Plan, ServicePlan


class PortTaken(EnvctlError):
    """An error: another program took a port between its allocation and the start of *service*; a different port may work."""

    def __init__(self, service: str, message: str) -> None:
        super().__init__(message)
        self.service = service


class SubnetTaken(EnvctlError):
    """An error: the allocated subnet overlaps with another network; a different one may work."""


class Wanted(NamedTuple):
    """What to allocate for an instance: the number of consecutive ports for each key, and the number of containers that need addresses."""

    ports: Mapping[PortKey, int]
    containers: int = 1


@dataclass(frozen=True)
class DeploymentSettings:
    """What an engine must know, besides the plan, to bring an instance up.

    Attributes:
        folder: the instance's state folder, which only this user can enter.
        environ: the environment variables of programs that are started on this machine; they contain the instance's mark.
        in_flight: counts the requests that are creating something.
        labels: the labels of everything that belongs to the instance.
        expires: when the instance expires, as a time stamp.
        cluster: `[kubernetes]` of envctl.toml.
        document: the instance's record as JSON, for engines that keep it beside the instance.
        snapshots: service to the snapshot from which its data started, or is to start.
        worker: `STORE@MARK`: the state folder of this command, and the mark of its process.
        new: whether the instance did not exist before.
    """

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    in_flight: InFlight = field(default_factory=InFlight)
    labels: Mapping[str, str] = field(default_factory=dict)
    expires: str | None = None
    cluster: Mapping[str, Any] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    snapshots: Mapping[str, SnapshotRecord] = field(default_factory=dict)
    worker: str = ""
    new: bool = False


class CommandResult(NamedTuple):
    """The result of a command: its exit code, and the output of both streams."""

    status: int
    output: str


class ServiceState(NamedTuple):
    """The state of a service as its engine sees it now; the default stands for a service that does not exist.

    Attributes:
        status: its exit status, if it has ended.
        health: the result of the image's health check or the cluster's probe: healthy, starting, unhealthy; empty without a check.
        restarts: whether its engine starts it again when it ends.
        restarting: whether it has ended and its engine is about to start it again; some engines also report it as running.
        id: the id of its container, pod or process.
        data_ids: the ids of the data that it may have; empty if its engine does not lose data by itself.
        lacks: why it cannot be reached although its processes exist; it does not count as running then.
        check: the health check of its container or image, as a command inside it; empty if there is none.
        check_seconds: how long its engine lets that command run.
        patience: seconds after which its engine itself would report it as unhealthy.
    """

    running: bool = False
    status: int | None = None
    health: str = ""
    restarts: bool = False
    id: str = ""
    lacks: str = ""
    check: tuple[str, ...] = ()
    check_seconds: float = 30.0
    patience: float = 0.0
    data_ids: tuple[str, ...] = ()
    restarting: bool = False


class FoundInstance(NamedTuple):
    """An instance that an engine found by its labels."""

    id: str
    name: str
    environment: str
    project: str
    owner: str
    created: str
    expires: str | None
    running: int
    total: int
    done: int = 0
    """The number of services that have exited with 0, as jobs do."""
    unseen: str = ""
    """Why its services could not be inspected; empty if they could."""
    ending: bool = False
    """Whether its removal has been requested; something may still delay it."""
    kept: bool = False
    """Whether its keeper runs with its state in another home folder, and will remove the instance with that state when it expires."""

    @classmethod
    def labelled(
        cls, id: str, told: Mapping[str, str], *, running: int, total: int, done: int = 0, created: str = "", expires: str | None = None,
        unseen: str = "", ending: bool = False,
    ) -> FoundInstance:  # fmt: skip
        """Return the instance that the labels *told* describe."""
        environment, project, owner = (told.get(label, "") for label in (labels.ENVIRONMENT, labels.PROJECT, labels.OWNER))
        return cls(id, told.get(labels.NAME, id), environment, project, owner, created, expires, running, total, done, unseen, ending)


class Finding(NamedTuple):
    """One result of `doctor`; `findings(host)` in each engine's `doctor.py` yields them."""

    area: str
    ok: bool
    text: str
    advice: str = ""
    needed: bool = False
    """Whether the engine of this area does not work without it."""


Progress = Callable[[str, str], None]
"""A function that reports progress to the user: a service (or an empty text), and what happens to it."""


@dataclass(frozen=True)
class Execution:
    """A command inside a service; *env* is added to the service's own variables."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: Iterable[bytes] = ()


class TerminalCommand(NamedTuple):
    """The command to start on this terminal to run something inside a service; secrets are in *env*, which other users cannot see."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str | None = None


class RunningInstance(Protocol):
    """An existing instance, known only by its id. Nothing here needs its definition."""

    def states(self) -> Mapping[str, ServiceState]:
        """Return the state of every service that was created, whether it runs or not; empty if the instance does not exist.

        Raises:
            EnvctlError: the engine could not be queried.
        """

    def state(self, service: str) -> ServiceState:
        """Return the state of one service (the first replica that does not run, if any); `ServiceState()` if the service does not exist."""

    def logs(self, service: str, tail: int | None = None) -> Iterator[bytes]:
        """Yield the output of all replicas in pieces, or only the last *tail* lines of each; nothing if the service does not exist."""

    def follow(self, services: Sequence[str], tail: int | None) -> Iterator[tuple[str, bytes]]:
        """Yield service and piece of output as it arrives, for all replicas, until all have ended; skip services that do not exist."""

    def interactive(self, service: str, argv: Sequence[str], env: Mapping[str, str], user: str | None) -> TerminalCommand:
        """Return the command that runs *argv* inside the service, on this terminal.

        Raises:
            EnvctlError: the service does not exist.
            UsageError: this machine lacks a program that is needed for it.
        """

    def renew(self, expires: str | None, labels: Mapping[str, str]) -> None:
        """Store at the engine when the instance expires (None: never), and replace what was stored before.

        If the instance does not exist, this does nothing, or leaves a note that `remove` removes. An engine whose instances end with
        their keeper stores nothing.
        """


class Deployment(RunningInstance, Protocol):
    """An instance with its plan, which can be brought up. Only services of the plan are changed."""

    def prepare(self, progress: Progress) -> None:
        """Make images and programs available (pull, build, push). Nothing of the instance is created yet.

        Raises:
            ServiceFailed: an image cannot be pulled, built or pushed.
            EngineMissing: this machine lacks a program.
            UsageError: the plan asks for something that this engine cannot do.
        """

    def create(self, *, whole: bool = True) -> None:
        """Create everything without starting it, and recreate what has changed since the last time.

        Args:
            whole: whether the plan is the whole instance, so that everything else of it is removed; if not, the rest stays unchanged.

        Raises:
            SubnetTaken, PortTaken: another allocation may work.
            EnvctlError: the engine's own message.
        """

    def start(self, service: ServicePlan) -> None:
        """Start a service that was created; processes that run already keep running.

        Raises:
            PortTaken: another allocation may work.
            ServiceFailed: the service cannot be started.
        """

    def stop(self, service: ServicePlan) -> None:
        """Stop the service gracefully; its data stays. Do nothing if the service does not exist.

        An engine that restarts services by itself may have restarted it already.
        """

    def discard(self, service: ServicePlan) -> None:
        """Remove the service with its data; `create` and `start` make both again, unless the engine has already done so.

        Do nothing if the service does not exist.
        """

    def exit_events(self, on_exit: Callable[[str, int], None], on_loss: Callable[[BaseException], None]) -> AbstractContextManager[None]:
        """Call *on_exit* from another thread with service and exit code whenever a service ends, while the context is active.

        Args:
            on_loss: called when the engine can no longer report exits, or with the error that *on_exit* raised.
        """

    def exit_reason(self, service: ServicePlan) -> EnvctlError | None:
        """Return why the service ended or cannot run, if the engine knows more than the log; PortTaken if another allocation may work."""

    def execute(self, service: str, what: Execution) -> CommandResult:
        """Run a command, with its input, inside a running service. The exit code is 126 or 127 if the command cannot be started.

        Raises:
            EnvctlError: the service does not exist.
            Exception: whatever the command's input raised.
        """

    def run_command(self, service: ServicePlan, argv: Sequence[str], attached: Attached | None = None) -> CommandResult:
        """Run *argv* once beside a service, with its image, environment, files and network.

        The service must have been created, but need not run. The exit code is 126 or 127 if the command cannot be started.

        Args:
            attached: gets the output while the command runs; the result then contains only why it cannot be started.

        Raises:
            Exception: whatever *attached* raised; the command has been ended.
        """

    def listening(self, service: str) -> Sequence[tuple[str, int]]:
        """Return the addresses and ports on which the service listens, as its own processes see them.

        Raises:
            EnvctlError: this cannot be found out.
        """

    def data_id(self, service: ServicePlan) -> str:
        """Return an id of the service's data, which differs from that of earlier and later data; empty if there is no data."""

    def probe_ports(self, service: ServicePlan) -> Mapping[str, int]:
        """Return port name to port of this machine: probes reach the service there, even while its endpoints refuse other clients."""

    def finish(self, whole: Collection[str]) -> None:
        """Open endpoints and make spare copies, after everything was brought up.

        Args:
            whole: the services whose data is complete.
        """


@runtime_checkable
class ConnectsProcesses(Protocol):
    """A deployment that connects some services with the others when they are ready."""

    def connect(self, service: ServicePlan) -> None:
        """Let the other services reach this one, which is ready.

        Raises:
            EnvctlError: they cannot reach it.
        """


class Engine(Protocol):
    """A daemon, a cluster or a machine that can run instances."""

    @property
    def name(self) -> str:
        """The name for `--engine`."""

    def addresses(self) -> Addresses:
        """Return the addresses at which its services are reached."""

    def allocate(self, id: str, wanted: Wanted, kept: Allocation, taken: Collection[int], refused: Collection[str]) -> Allocation:
        """Allocate unused ports and a subnet, as far as *kept* lacks them.

        Args:
            wanted: what to allocate.
            kept: an earlier allocation of this instance; it is kept, except for ports that are no longer wanted.
            taken: ports of other instances, whether these run or not.
            refused: subnets that turned out to be taken.

        Raises:
            EnvctlError: there is no free port or subnet.
        """

    def deployment(self, plan: Plan, settings: DeploymentSettings) -> Deployment:
        """Return the deployment of *plan*; nothing is created yet."""

    def attach(self, id: str) -> RunningInstance:
        """Return the instance with that id, whether or not it exists."""

    def list(self, id: str = "") -> Sequence[FoundInstance]:
        """Return all instances with envctl's labels, of all users; with *id*, only that one.

        Raises:
            EnvctlError: the engine could not be queried.
        """

    def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
        """Remove everything with the label of *id*, and return what is left. Do nothing if the instance does not exist.

        Args:
            stop: service to the seconds that it may take to exit after SIGTERM; all others are killed.
            wait: whether to wait until everything is gone, if the engine takes time.
        """


@runtime_checkable
class Prunes(Protocol):
    """An engine that keeps caches."""

    def prune(self, everything: bool) -> Sequence[str]:
        """Remove unused cache entries (*everything*: recent ones too), and return their names."""


@runtime_checkable
class BuildsMeanwhile(Protocol):
    """A deployment that can run some services while the images of others are built and pushed."""

    def prepare_meanwhile(self, progress: Progress) -> None:
        """Prepare as `prepare` does, but do not wait for builds. `create` and `start` handle images that do not exist yet."""

    def await_image(self, service: ServicePlan) -> None:
        """Wait until the image of the service is available.

        Raises:
            ServiceFailed: the image cannot be built or pushed.
        """


@runtime_checkable
class PreparesCommands(Protocol):
    """An engine that can prepare a later `run_command` in the background."""

    def prepare_command(self, service: ServicePlan, argv: Sequence[str]) -> None:
        """Start the preparation. `run_command` waits until it is done, and raises its error if it failed."""


class Saved(NamedTuple):
    """A saved snapshot: its name at the engine, an id of its content, and its size in bytes."""

    ref: str
    content: str
    size: int


@runtime_checkable
class KeepsData(Protocol):
    """A deployment that can save the data of a service as a snapshot, and start a service from a snapshot."""

    def place(self, service: ServicePlan) -> Location:
        """Return where snapshots of the service are."""

    def identity(self, service: ServicePlan) -> str:
        """Return an id of the content of the service's image or program; call `prepare` first."""

    def holds(self, service: ServicePlan) -> bool:
        """Return whether the data of a service of a Compose file is in one place from which it can be copied; call `prepare` first."""

    def restore(self, snapshots: Mapping[str, SnapshotRecord]) -> None:
        """Start these services from these snapshots from now on, if they have no data yet."""

    def save(self, service: ServicePlan, key: str) -> Saved:
        """Save the data of a stopped service as a snapshot, completely or not at all.

        Raises:
            EnvctlError: the service did not end cleanly, or the engine's own message.
        """


@runtime_checkable
class BringsKept(Protocol):
    """A deployment to which snapshots must be brought: another engine has them (`KeepsData.place`), or services get a copy."""

    @property
    def unable(self) -> str:
        """Why this deployment cannot use snapshots; empty if it can. If it cannot, only `restore` is called."""

    def bring(self, service: ServicePlan, kept: SnapshotRecord, progress: Progress = ...) -> SnapshotRecord:
        """Bring the snapshot *kept* to where the service finds it, and return the record that `restore` takes.

        Raises:
            EnvctlError: the snapshot cannot be brought there.
        """


@runtime_checkable
class KnewDataOtherwise(Protocol):
    """A deployment on which the same data may have had another id before: an earlier version chose it, or `create` has changed it."""

    def former_data_id(self, service: ServicePlan) -> str:
        """Return the former id of the current data; empty if there is none, or it is not known."""


@runtime_checkable
class SharesData(Protocol):
    """A deployment on which a service may share data with others; `discard` does not remove shared data."""

    def staying(self, service: ServicePlan) -> Sequence[str]:
        """Return a sentence for each thing that `discard` would not remove; this changes nothing.

        Raises:
            UsageError: all of the service's data is shared, so that `discard` refuses to remove it.
        """


@runtime_checkable
class HasNetworks(Protocol):
    """An engine with external networks, which services may join."""

    def internal(self, networks: Collection[str]) -> frozenset[str]:
        """Return those of *networks* that exist and cannot be reached from outside."""


@runtime_checkable
class KeptData(Protocol):
    """An engine that stores snapshots; *ref* and *content* are those of `Saved`."""

    @property
    def keeps_at(self) -> str:
        """The context with which the engine is opened again; empty for this machine."""

    def has(self, ref: str, content: str) -> bool:
        """Return whether the snapshot exists with that content."""

    def remove_kept(self, ref: str) -> bool:
        """Remove the snapshot; return False if it is in use."""

    def kept(self) -> Sequence[tuple[str, str]]:
        """Return ref and key of every snapshot that this user has saved there, including incomplete ones."""

    def write_kept(self, ref: str, file: Path) -> None:
        """Write the snapshot to a file that `read_kept` can read on any machine."""

    def read_kept(self, ref: str, file: Path) -> str:
        """Read the snapshot from a file, and return its `content`.

        Raises:
            EnvctlError: the file does not contain exactly *ref*.
        """


@runtime_checkable
class AdmitsReaders(Protocol):
    """An engine on which other services cannot reach a server until it has its data; all machines see whether the data is complete."""

    def made_by(self, service: ServicePlan) -> str | None:
        """Return the `DeploymentSettings.worker` that is making the data; empty if no worker has begun, None if the data is complete."""

    def note_begun(self, service: ServicePlan) -> None:
        """Record that this command makes the data from now on.

        Raises:
            EnvctlError: the engine refused it.
        """

    def admit(self, service: ServicePlan) -> None:
        """Let others reach the service, which has its data now.

        Raises:
            EnvctlError: the engine refused it.
        """


@runtime_checkable
class KnowsWhoBars(Protocol):
    """A deployment whose services are reached through a component that may refuse connections without giving the reason to the client."""

    def barred(self, service: ServicePlan) -> EnvctlError | None:
        """Return why no connection from here can reach the service, even after retries; None if no such reason is known."""


@runtime_checkable
class PublishesRecords(Protocol):
    """A deployment that keeps the instance's record beside it, where other machines find it."""

    def publish(self, document: Mapping[str, Any]) -> None:
        """Store *document*, the record as JSON, in place of the previous one."""


class PublishedRecord(NamedTuple):
    """A record that another machine has published, with the engine's own information on how to reach the instance."""

    document: Mapping[str, Any]
    access: Any = None


OWNER_LASTS = 60.0
"""The seconds for which an owner counts as alive after each report: a machine that dies is noticed within a minute."""


@runtime_checkable
class HearsOfOwners(Protocol):
    """An engine on which a reaper removes instances without an owner; the reaper cannot inspect the owner's machine."""

    def heard_of_owner(self, id: str, until: str) -> None:
        """Record that the owner counts as alive until the time stamp *until*; do nothing if the instance does not exist."""


class MadeElsewhere(EnvctlError):
    """An error: another machine is making the instance at this moment, or has just made it."""


@runtime_checkable
class SharedByMachines(Protocol):
    """An engine on whose instances commands of several machines may work."""

    def alone(
        self, id: str, worker: str, pause: Callable[[], None], lost: Callable[[EnvctlError], None], new: bool
    ) -> AbstractContextManager[PublishedRecord | None]:  # fmt: skip
        """Return a context in which no command of another machine works on the instance. It yields the published record, or None.

        Args:
            worker: as in `DeploymentSettings`.
            pause: called between two checks while another machine works on the instance; it may raise.
            lost: called in another thread when another machine has taken over, because this machine has not reported for too long.
            new: whether this command makes the instance (`Deployment.create` raises MadeElsewhere if another machine does, too).

        Raises:
            EnvctlError: the engine could not be queried.
        """


@runtime_checkable
class FindsPublishedRecords(Protocol):
    """An engine that finds the records that deployments on other machines have published."""

    def published(self, name: str, project: str) -> PublishedRecord | None:
        """Return the record of the instance with the id *name*, or with that name if its checkout is *project*; None if there is none.

        Args:
            project: the checkout; empty if *name* is an id.
        """

    def connect(self, id: str, access: Any) -> Mapping[int, int]:
        """Make the instance reachable from this machine, through its running keeper; return ports of the other machine to local ports."""
