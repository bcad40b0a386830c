"""The seam between the life of an instance and what runs its services: only the verbs that are called.

    Engine            a daemon, a cluster or this machine: what can be chosen, found and removed there
    RunningInstance   an instance that is there, known by its id alone: looked at
    Deployment        an instance with its plan: created, started, fed

What only some engines can do is an optional Protocol that is asked for with `isinstance`. An engine never reads nor writes an
instance's record: what it needs of it is handed in (`DeploymentSettings`), what is to be kept is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
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
    """A port was taken by somebody between its allocation and the start of *service*; another one may work."""

    def __init__(self, service: str, message: str) -> None:
        super().__init__(message)
        self.service = service


class SubnetTaken(EnvctlError):
    """The allocated subnet overlaps with somebody's network; another one may work."""


class Wanted(NamedTuple):
    """What an instance needs allocated: how many ports in a row for each key, and addresses for how many containers."""

    ports: Mapping[PortKey, int]
    containers: int = 1


@dataclass(frozen=True)
class DeploymentSettings:
    """What an engine must know to bring an instance up, beside its plan.

    Attributes:
        folder: the instance's own, of this user alone.
        environ: the variables of programs that are started on this machine; they carry the instance's mark.
        in_flight: told of everything that is being created.
        labels: what everything of the instance carries.
        expires: when it does, as a stamp.
        cluster: `[kubernetes]` of envctl.toml.
        document: the instance's record as JSON, for engines that keep it beside the instance.
        snapshots: service to what its data began as, or is to begin as.
    """

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    in_flight: InFlight = field(default_factory=InFlight)
    labels: Mapping[str, str] = field(default_factory=dict)
    expires: str | None = None
    cluster: Mapping[str, Any] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    snapshots: Mapping[str, SnapshotRecord] = field(default_factory=dict)


class CommandResult(NamedTuple):
    """How a command ended: its exit status, and what it printed (both streams)."""

    status: int
    output: str


class ServiceState(NamedTuple):
    """A service as its engine sees it now; the default is that of a service that is not there.

    Attributes:
        status: how it ended, where it has.
        health: what the image's health check, or the cluster's probe, says: healthy, starting, unhealthy; empty where there is none.
        restarts: its engine starts it again when it ends.
        restarting: it has ended, and its engine is about to do so; some engines call it running meanwhile.
        id: of its container, pod or process.
        data_ids: of the data that it may have; empty where its engine does not lose data by itself.
        lacks: why nobody can reach it though its processes are there; it does not count as running then.
        check: the health check of its container or image as a command inside it; empty where its engine gives none.
        patience: seconds after which its engine itself would call it unhealthy.
    """

    running: bool = False
    status: int | None = None
    health: str = ""
    restarts: bool = False
    id: str = ""
    lacks: str = ""
    check: tuple[str, ...] = ()
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
    """Services that have ended well, as jobs do."""
    unseen: str = ""
    """Why nobody could look at its services; empty where somebody has."""
    ending: bool = False
    """Its removal is asked for; something may still keep it."""
    kept: bool = False
    """Its keeper lives, with its state in another home: that removes it when its time has come, its state too."""

    @classmethod
    def labelled(
        cls, id: str, told: Mapping[str, str], *, running: int, total: int, done: int = 0, created: str = "", expires: str | None = None,
        unseen: str = "", ending: bool = False,
    ) -> FoundInstance:  # fmt: skip
        """With what the labels *told* say of it."""
        environment, project, owner = (told.get(label, "") for label in (labels.ENVIRONMENT, labels.PROJECT, labels.OWNER))
        return cls(id, told.get(labels.NAME, id), environment, project, owner, created, expires, running, total, done, unseen, ending)


class Finding(NamedTuple):
    """One thing that `doctor` has looked at; each engine's `doctor.py` has a `findings(host)` that yields some."""

    area: str
    ok: bool
    text: str
    advice: str = ""
    needed: bool = False
    """The engine of this area does not work without it."""


Progress = Callable[[str, str], None]
"""Tells the user of progress: a service (or nothing) and what happens to it."""


@dataclass(frozen=True)
class Execution:
    """A command inside a service; *env* comes on top of the service's own variables."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: Iterable[bytes] = ()


class TerminalCommand(NamedTuple):
    """What to start on this terminal so that it runs inside a service; secrets are in the environment, where nobody else sees them."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str | None = None


class RunningInstance(Protocol):
    """An instance that is there, known by its id alone. Nothing here needs its definition."""

    def states(self) -> Mapping[str, ServiceState]:
        """Every service that was created, whether it runs or not; nothing where the instance is not there.

        Raises:
            EnvctlError: nobody could look.
        """

    def state(self, service: str) -> ServiceState:
        """That of one service: of several replicas the first that does not run. `ServiceState()` where it is not there."""

    def logs(self, service: str, tail: int | None = None) -> Iterator[bytes]:
        """Pieces of what all of its replicas have printed, their last *tail* lines; none where the service is not there."""

    def follow(self, services: Sequence[str], tail: int | None) -> Iterator[tuple[str, bytes]]:
        """Service and piece of output of all replicas, as they come, until all have ended; nothing of a service that is not there."""

    def interactive(self, service: str, argv: Sequence[str], env: Mapping[str, str], user: str | None) -> TerminalCommand:
        """What runs *argv* inside the service, on this terminal.

        Raises:
            EnvctlError: the service is not there.
            UsageError: a program that is needed for it is not on this machine.
        """

    def renew(self, expires: str | None, labels: Mapping[str, str]) -> None:
        """Notes at the engine when the instance expires, in the place of what was noted before; None: never.

        Where the instance is not there, nothing happens, or a note of it that `remove` removes. An engine whose instances end with
        their keeper notes nothing.
        """


class Deployment(RunningInstance, Protocol):
    """An instance with its plan: what brings it up. Services of the plan alone are touched."""

    def prepare(self, progress: Progress) -> None:
        """Images and programs are here: pulled, built, pushed. Nothing of the instance is created.

        Raises:
            ServiceFailed: an image cannot be had.
            EngineMissing: this machine lacks a program.
            UsageError: the plan asks for what this engine cannot do.
        """

    def create(self, *, whole: bool = True) -> None:
        """Everything is there and nothing new runs; what has changed since the last time is made anew.

        Args:
            whole: the plan is all of the instance, so that what it does not name goes; else it is a part, and the rest stays as it is.

        Raises:
            SubnetTaken, PortTaken: another allocation may work.
            EnvctlError: the engine's own words.
        """

    def start(self, service: ServicePlan) -> None:
        """Its processes run; what runs already goes on. The service is created.

        Raises:
            PortTaken: another allocation may work.
            ServiceFailed: it cannot be started.
        """

    def stop(self, service: ServicePlan) -> None:
        """It has ended, politely; its data stays. Nothing happens where it is not there.

        An engine that starts again whatever ends may have done so already.
        """

    def discard(self, service: ServicePlan) -> None:
        """It is gone with its data; `create` and `start` make it anew, where the engine has not done so already.

        Nothing happens where it is not there.
        """

    def exit_events(self, on_exit: Callable[[str, int], None], on_loss: Callable[[BaseException], None]) -> AbstractContextManager[None]:
        """Calls *on_exit* with service and status whenever one ends, from a thread of its own, as long as the context is entered.

        Args:
            on_loss: told where the engine cannot tell of exits any more, and what *on_exit* raised.
        """

    def exit_reason(self, service: ServicePlan) -> EnvctlError | None:
        """Why it ended, or will not run, where the engine knows more than its log; PortTaken where another allocation may work."""

    def execute(self, service: str, what: Execution) -> CommandResult:
        """Runs a command inside a service that runs, and feeds it. Status 126 or 127 where the command cannot be started.

        Raises:
            EnvctlError: the service is not there.
            Exception: whatever the command's input raised.
        """

    def run_command(self, service: ServicePlan, argv: Sequence[str], attached: Attached | None = None) -> CommandResult:
        """Runs *argv* once with the image, environment, files and network of a service, beside it.

        The service is created, and need not run. Status 126 or 127 where the command cannot be started.

        Args:
            attached: gets the output while it runs, in the place of the result, which says only why the command cannot be started.

        Raises:
            Exception: whatever *attached* raised; the command has been ended.
        """

    def listening(self, service: str) -> Sequence[tuple[str, int]]:
        """Where it listens: addresses as its own processes see them, and ports.

        Raises:
            EnvctlError: nobody can tell.
        """

    def data_id(self, service: ServicePlan) -> str:
        """What tells this data from what was there before or will be after it; empty where there is none."""

    def probe_ports(self, service: ServicePlan) -> Mapping[str, int]:
        """Where its readiness is asked for on this machine, by the names of its ports: also while its endpoints refuse others."""

    def finish(self, whole: Collection[str]) -> None:
        """After everything was brought up: endpoints open, spares are made.

        Args:
            whole: the services that have all of their data.
        """


@runtime_checkable
class ConnectsProcesses(Protocol):
    """A deployment some of whose services are reached by the others in a way that is made when they are ready."""

    def connect(self, service: ServicePlan) -> None:
        """The service is ready, and the others reach it.

        Raises:
            EnvctlError: they cannot.
        """


class Engine(Protocol):
    """What can run instances here."""

    @property
    def name(self) -> str:
        """As `--engine` names it."""

    def addresses(self) -> Addresses:
        """Where its services are reached."""

    def allocate(self, id: str, wanted: Wanted, kept: Allocation, taken: Collection[int], refused: Collection[str]) -> Allocation:
        """Ports and a subnet that nobody uses now, for those that *kept* lacks.

        Args:
            kept: an earlier allocation of this instance; it stays as it is, but for ports that nobody wants any more.
            taken: ports that other instances have, whether they run or not.
            refused: subnets that turned out to be taken.

        Raises:
            EnvctlError: there is none left.
        """

    def deployment(self, plan: Plan, settings: DeploymentSettings) -> Deployment:
        """The instance of *plan*; nothing happens yet."""

    def attach(self, id: str) -> RunningInstance:
        """The instance of that id; whether it is there shows when it is asked."""

    def list(self, id: str = "") -> Sequence[FoundInstance]:
        """Every instance that carries our labels, whoever brought it up; only that of *id* where one is given.

        Raises:
            EnvctlError: nobody could look.
        """

    def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
        """Removes whatever carries the label of *id*, and names what is left. Nothing happens where there is nothing.

        Args:
            stop: seconds that services may take to end on SIGTERM; those that are not named are killed.
            wait: until it is gone, where the engine takes its time.
        """


@runtime_checkable
class Prunes(Protocol):
    """An engine that keeps something to be faster the next time."""

    def prune(self, everything: bool) -> Sequence[str]:
        """Removes what of it is unused (*everything*: not only what is old), and names it."""


@runtime_checkable
class BuildsMeanwhile(Protocol):
    """A deployment some of whose services can run while the images of others are built, and brought to where they run."""

    def prepare_meanwhile(self, progress: Progress) -> None:
        """As `prepare`, but for what is built: that goes on. `create` and `start` take care of what is not there yet."""

    def await_image(self, service: ServicePlan) -> None:
        """Returns when the image of the service is there.

        Raises:
            ServiceFailed: it cannot be built, or brought to where it runs.
        """


@runtime_checkable
class PreparesCommands(Protocol):
    """An engine on which a `run_command` that will come can be made ready while there is nothing else to do."""

    def prepare_command(self, service: ServicePlan, argv: Sequence[str]) -> None:
        """Begins it in the background. `run_command` waits until it is done, and raises its error if it failed."""


class Saved(NamedTuple):
    """Data that was kept: what it is called at the engine, the hash of what it is, and its size in bytes."""

    ref: str
    content: str
    size: int


@runtime_checkable
class KeepsData(Protocol):
    """A deployment on which the data of a service can be kept, and can begin as what was kept."""

    def place(self, service: ServicePlan) -> Location:
        """Where what is kept of it lies."""

    def identity(self, service: ServicePlan) -> str:
        """What runs it, by its content: after `prepare`."""

    def holds(self, service: ServicePlan) -> bool:
        """Whether the data of a service of a Compose file is in one place, where it can be taken from: after `prepare`."""

    def restore(self, snapshots: Mapping[str, SnapshotRecord]) -> None:
        """From now on the data of these services begins as that, where there is none yet."""

    def save(self, service: ServicePlan, key: str) -> Saved:
        """Keeps the data of a service that has been stopped. It is whole, or it is not there.

        Raises:
            EnvctlError: it did not end cleanly, or the engine's own words.
        """


@runtime_checkable
class BringsKept(Protocol):
    """A deployment to whose services what is kept must be brought: another engine has it (`KeepsData.place`), or they get a copy."""

    @property
    def unable(self) -> str:
        """Why they do not; empty where they do. Nothing but `restore` is asked for then."""

    def bring(self, service: ServicePlan, kept: SnapshotRecord, progress: Progress = ...) -> SnapshotRecord:
        """What `restore` takes, once *kept* is where the service finds it.

        Raises:
            EnvctlError: it does not get there.
        """


@runtime_checkable
class KnewDataOtherwise(Protocol):
    """A deployment on which some data had another id: earlier versions called it so, or `create` has made it another one."""

    def former_data_id(self, service: ServicePlan) -> str:
        """What the data that is there now was called; empty where there is none, or nobody knows."""


@runtime_checkable
class SharesData(Protocol):
    """A deployment on which others may have some of a service's data, too, so that `discard` leaves that as it is."""

    def staying(self, service: ServicePlan) -> Sequence[str]:
        """What would stay, each a sentence; nothing is changed.

        Raises:
            UsageError: it is all that the service has, so that `discard` refuses it.
        """


@runtime_checkable
class HasNetworks(Protocol):
    """An engine with networks of others, which services may join."""

    def internal(self, networks: Collection[str]) -> frozenset[str]:
        """Those of *networks* that nobody outside reaches; what is not there is none."""


@runtime_checkable
class KeptData(Protocol):
    """An engine that has such data; *ref* and *content* are those of `Saved`."""

    @property
    def keeps_at(self) -> str:
        """The context under which it is opened again; empty for this machine."""

    def has(self, ref: str, content: str) -> bool:
        """Whether it is there, and is that."""

    def remove_kept(self, ref: str) -> bool:
        """Removes it; False where somebody uses it."""

    def kept(self) -> Sequence[tuple[str, str]]:
        """Ref and key of everything that this user has kept there, also of what was left half-way."""

    def write_kept(self, ref: str, file: Path) -> None:
        """As a file that `read_kept` understands, on any machine."""

    def read_kept(self, ref: str, file: Path) -> str:
        """From a file; its `content` comes back.

        Raises:
            EnvctlError: it holds something else.
        """


@runtime_checkable
class AdmitsReaders(Protocol):
    """An engine on which nobody inside reaches a server that has no data yet."""

    def admit(self, service: ServicePlan) -> None:
        """It has its data: from now on others reach it.

        Raises:
            EnvctlError: that cannot be said to the engine.
        """


@runtime_checkable
class PublishesRecords(Protocol):
    """A deployment that keeps the instance's record beside it, where other machines find it."""

    def publish(self, document: Mapping[str, Any]) -> None:
        """Keeps *document*, the record as JSON, in the place of the one before."""


class PublishedRecord(NamedTuple):
    """A record that another machine has published, and what only its engine understands of how to reach the instance."""

    document: Mapping[str, Any]
    access: Any = None


OWNER_LASTS = 60.0
"""Seconds for which one word of an owner counts: a machine that dies is noticed within a minute."""


@runtime_checkable
class HearsOfOwners(Protocol):
    """An engine on which somebody collects what has lost its owner, and cannot look at the machine where that is."""

    def heard_of_owner(self, id: str, until: str) -> None:
        """The owner of the instance is taken to live until then; nothing where the instance is not there."""


class Left(Enum):
    """How whoever worked on an instance has left it: some data may be half made, where it failed or died."""

    DONE = "done"
    FAILED = "failed"
    DIED = "died"


class Handover(NamedTuple):
    """What another machine has left.

    Attributes:
        record: as that machine has published it; None where this one was the last itself, and knows.
    """

    record: PublishedRecord | None = None
    left: Left = Left.DONE


@runtime_checkable
class SharedByMachines(Protocol):
    """An engine whose instances commands of several machines may work on."""

    def alone(self, id: str, worker: str, pause: Callable[[], None]) -> AbstractContextManager[Handover]:
        """While no command of another machine works on the instance.

        Args:
            worker: `STORE@MARK`: the state that knows what we do, and the process that works.
            pause: called between two looks while another one works; it may raise.

        Raises:
            EnvctlError: nobody could look.
        """


@runtime_checkable
class FindsPublishedRecords(Protocol):
    """An engine that finds what deployments on other machines have published."""

    def published(self, name: str, project: str) -> PublishedRecord | None:
        """The record of the instance whose id is *name*, or whose name it is where *project* is its checkout too."""

    def connect(self, id: str, access: Any) -> Mapping[int, int]:
        """Makes the instance reachable from here, through the keeper that runs; ports of the other machine to those of this one."""
