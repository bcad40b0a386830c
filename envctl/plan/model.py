"""The model of a plan: which services run, in which order, with which addresses and secrets.

Making a plan is pure: the `Setting` provides ids, secrets, ports and environment variables, so the same input gives the same plan.
Only files of the project are read, because they are input.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from envctl.definition.kinds import Kubernetes
from envctl.definition.kinds import LocalProgram as LocalProgram
from envctl.definition.models import Build, SeedStep
from envctl.files.reading import open_file
from envctl.instance.allocation import Allocation
from envctl.instance.allocation import PortKey as PortKey
from envctl.instance.units import Unit
from envctl.plan.exposing import Exposed, Exposure
from envctl.plan.traits import Addresses, EngineTraits


@dataclass(frozen=True)
class Setting:
    """The inputs of a plan that the definition does not contain."""

    name: str
    id: str
    environment: str
    project: Path
    engine: EngineTraits
    secret: Callable[[str, str], str]
    """A function that returns a random-looking text for a service and one of its parameters, the same for the instance's whole lifetime."""
    checkout: str = ""
    """The project folder on the machine that brought the instance up, if that is another machine."""
    known_key: bool = False
    """Whether the results of `secret` can be computed from the name."""
    allocation: Allocation = field(default_factory=Allocation)
    """The ports and the subnet, as far as they are known; `Plan.with_allocation` adds the rest."""
    fixed: frozenset[PortKey] = frozenset()
    """The ports whose number was requested."""
    addresses: Addresses = field(default_factory=Addresses)
    """The addresses under which the engine's services are reached."""
    owner: str = ""
    key: str = ""
    """The instance's key, from `--key` or a CI system; otherwise empty."""
    folder: Path = Path()
    """The folder that contains a folder for the files of each local process."""
    local: frozenset[str] = frozenset()
    """The services that run as processes on this machine beside another engine (`--local`)."""
    environ: Mapping[str, str] = field(default_factory=dict)
    registry: str | None = None
    """The registry to which built images are pushed for a cluster."""
    image_names: bool = False
    """Whether built images get the names from the definition (`--image-names`)."""
    shared: bool = False
    """Whether the instance shares its namespace (`--namespace`), so that the names of its services begin with the instance's id."""
    expose: Exposure = field(default_factory=Exposure)
    """How browsers reach the cluster (`[kubernetes.expose]` of envctl.toml)."""
    rewrite: Mapping[str, str] = field(default_factory=dict)
    """Prefixes of image names and their replacements (`images` of envctl.toml)."""

    def runs_as_process(self, service: str) -> bool:
        """Return whether *service* is a process on this machine."""
        return self.engine.runs_processes or service in self.local


class Port(NamedTuple):
    """A port inside the environment, and the port that is published for it."""

    name: str
    number: int
    outside: int | None = None
    reserved: bool = False
    """Whether the published number must be known before anything is created: it was requested, or a service inside refers to it."""


class File(NamedTuple):
    """A file of a container: a text, or a file of the project that is copied."""

    text: str | None = None
    source: Path | None = None
    root: Path = Path()
    """The folder that must contain *source*."""
    secret: bool = False
    """Whether the file contains a password, or something that reveals one."""

    def open(self) -> io.BufferedIOBase:
        """Open the content as a stream. Raise OSError or FileRefused if the source cannot be read or was replaced."""
        return io.BytesIO((self.text or "").encode()) if self.text is not None or self.source is None else open_file(self.source, self.root)

    @property
    def content(self) -> bytes:
        """The whole content. Raises the errors of `open`."""
        with self.open() as stream:
            return stream.read()

    @property
    def digest(self) -> str:
        """The SHA-256 of the content, in hexadecimal digits. Raises the errors of `open`."""
        with self.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    @property
    def size(self) -> int:
        """The size in bytes. Raises the errors of `open`."""
        with self.open() as stream:
            return stream.seek(0, io.SEEK_END)

    @property
    def executable(self) -> bool:
        """Whether the file is a program: its source is executable."""
        return self.source is not None and os.access(self.source, os.X_OK)


@dataclass(frozen=True)
class Check:
    """One readiness check: the name of the probe's module, and its options."""

    probe: str
    options: Mapping[str, Any] = field(default_factory=dict)


class BuildPlan(NamedTuple):
    """An image to build, and its tag."""

    build: Build
    context: Path
    tag: str
    content: str = ""
    """The hash of everything that the image is built from; a tag from the definition does not contain it."""


class Feed(NamedTuple):
    """The client in the server's container that reads a seed from its standard input."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    dialect: str
    select: tuple[str, ...] = ()
    """The command that prints the values of a column."""


class Table(NamedTuple):
    """The description of the rows that a bulk loader receives."""

    name: str
    columns: tuple[str, ...]
    binary: frozenset[str] = frozenset()
    """The columns whose values are bytes."""


@dataclass(frozen=True)
class Step:
    """A seed step of a service, with its files found and its texts evaluated."""

    service: str
    number: int
    step: SeedStep
    hash: str
    files: tuple[Path, ...]
    where: str
    """The place in the definition, as file:line."""
    command: tuple[str, ...] = ()
    folder: Path = Path()
    """The folder to which the names of *files* are relative; for a single file, the file itself."""
    needs: Mapping[str, str] = field(default_factory=dict)
    feed: Feed | None = None
    env: Mapping[str, str] | None = None
    """If there are lanes: the variables of the command, or the outputs for a command on this machine, with addresses of the seeded unit."""
    inline: Any = None
    """The data that the step itself contains, evaluated."""
    feed_for: Callable[[Table], Feed] | None = field(default=None, compare=False)
    """A function that returns the feed for a table, for formats whose data names the tables."""
    personal: bool = False
    """Whether the data contains something that belongs to this instance only, or a secret of its user."""

    @property
    def title(self) -> str:
        """The format of the step, with its file or command."""
        what = self.step.file or " ".join(self.command)
        return f"{self.step.format} {what}".rstrip()


class FirstStep(NamedTuple):
    """A command that runs right after a server's first start; exit code *again* means that the server does not answer yet."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    stdin: str
    again: int | None


class Requested(NamedTuple):
    """The resources that are reserved for a service: processors and bytes; None uses the kind's default."""

    cpu: float | None = None
    memory: int | None = None
    storage: int | None = None


class Limits(NamedTuple):
    """The maximum of resources that a service may use."""

    cpu: float | None = None
    """The number of processors."""
    memory: int | None = None
    """The memory in bytes."""
    storage: int | None = None
    """The bytes of the node's disk, on Kubernetes."""
    requests: Requested = Requested()


class LocalPlan(NamedTuple):
    """The additional needs of a service that runs as a process on this machine."""

    version: str
    """The requested version; empty if none was requested."""
    template: tuple[str, ...] = ()
    first: tuple[FirstStep, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    """The patterns of files below the program's prefix, each with the message for a missing file."""
    wanted: int = 1
    """The number of replicas in the definition; only one runs."""
    image: str = ""
    """An image that the definition names instead of the kind's image; the program on this machine replaces it."""
    program: LocalProgram | None = None
    """The program that runs the service, unless the definition has `run`."""
    title: str = ""
    """The title of the service's kind."""


@dataclass(frozen=True)
class SnapshotPlan:
    """How the data of a service is kept, and how an instance adopts a copy of it (`Snapshot` of the kind, evaluated)."""

    folder: str
    always: bool
    """Whether the data is kept even without seeds."""
    kind: str
    """The hash of the whole kind."""
    consistent: tuple[tuple[tuple[str, ...], Mapping[str, str], str], ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)
    before: str = ""
    direct: bool = False
    """Whether the server starts without the image's entry point."""


@dataclass(frozen=True)
class ServicePlan:
    """One service, with everything evaluated for its place in the environment, so that later code need not read its kind."""

    name: str
    kind: str
    """The name of the service's kind."""
    host: str
    """The host name that other services use inside the environment."""
    image: str
    build: BuildPlan | None
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    env: Mapping[str, str]
    files: Mapping[str, File]
    ports: tuple[Port, ...]
    user: int | None
    data: str | None
    checks: tuple[Check, ...]
    ready_timeout: float
    healthcheck: tuple[str, ...]
    needs: Mapping[str, str]
    """The services for which this service waits before it starts, each with a condition: started, ready, seeded or done."""
    steps: tuple[Step, ...]
    setup: tuple[tuple[tuple[str, ...], Mapping[str, str], str], ...]
    """Commands that run in the server once it is ready: arguments, environment, standard input."""
    inside: Mapping[str, Any]
    outside: Mapping[str, Any]
    stop: float
    slow: float = 1.0
    """The time that the service takes to become ready, relative to most other services."""
    exposed: Exposed | None = None
    """The URL for browsers, if the service is exposed."""
    declares: tuple[str, ...] = ()
    """The modules of envctl/seeding/declaring that create the declared items once the server is ready."""
    once: bool = False
    """Whether the service is a job: it runs once, and is `done` when it has exited with code 0."""
    own: bool = False
    """Whether the service is the team's own code."""
    unset: tuple[str, ...] = ()
    """Variables of the image that the Compose file unsets: it names them without a value, and the caller has no value for them."""
    replicas: int = 1
    resources: Limits | None = None
    mounts: tuple[str, ...] = ()
    """Folders into which the kind puts files; they exist even without files."""
    writable: tuple[str, ...] = ()
    """Paths that stay writable on a read-only root file system."""
    unexpressed: tuple[str, ...] = ()
    """The probes of the checks that `healthcheck` does not include."""
    healthcheck_loss: str = ""
    """Why the service has no health check, according to its kind; otherwise empty."""
    losses: tuple[str, ...] = ()
    """Notes for users of the kind."""
    advertised: str = ""
    """The port that is published instead of the main port, because the server redirects clients to it."""
    pod: Kubernetes = field(default_factory=Kubernetes)
    """The additional settings of the pod, from the kind and from the definition."""
    run: tuple[str, ...] = ()
    folder: Path | None = None
    shell: tuple[str, ...] = ()
    shell_env: Mapping[str, str] = field(default_factory=dict)
    local: LocalPlan | None = None
    """The additional needs as a process on this machine; None if the service is not one."""
    snapshot: SnapshotPlan | None = None
    """How the data is kept for the next instance; None if it is not kept."""
    personal: bool = False
    """Whether the first data depends on the name of this instance, or on a value that only this instance has."""
    ephemeral: bool = False
    """Whether the data is lost when the process ends, so that the service is seeded after each start."""
    gated: bool = False
    """Whether no service inside may reach this one before it has its data."""
    drawn: bool = False
    """Whether credentials were generated because the definition has none."""
    tester: bool = False
    """Whether the service refers to the machine on which the tests run."""
    refers: frozenset[str] = frozenset()
    """The services whose addresses this service gets, including itself and services that run elsewhere; `needs` has those it waits for."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels in addition to the labels of the instance."""
    from_compose: bool = False
    places: tuple[str, ...] = ()
    """For a server of a Compose file: the folders in which its image may keep data, and the settings that name other folders."""
    compose: Mapping[str, Any] = field(default_factory=dict)
    kubernetes: Any = field(default_factory=dict)
    unit: Unit | None = None
    """The part of the server that each lane has, and how it is reset."""
    lane: int = 0
    """The lane to which the service belongs; 0 if all lanes share it, or if there are no lanes."""
    written: str = ""
    """The name in the definition."""
    later: tuple[str, ...] = ()
    """Keys in the definition that this version does not support yet."""

    @property
    def sets_up(self) -> bool:
        """Whether something is created in the server after it is ready and before it is seeded."""
        return bool(self.setup or self.declares)

    @property
    def sets_up_by(self) -> str:
        """The command or module that creates the first item."""
        return self.setup[0][0][0] if self.setup else self.declares[0]

    @property
    def outside_ports(self) -> dict[str, int]:
        """The names of the ports and their outside numbers; 0 for a port without one."""
        return {port.name: port.outside or 0 for port in self.ports}

    @property
    def endpoints(self) -> dict[str, int]:
        """The names of the ports and their outside numbers, as users see them. The advertised port replaces the main port."""
        found = {port.name: port.outside for port in self.ports if port.outside}
        return {self.ports[0].name: found[self.advertised]} if self.advertised in found else found

    @property
    def final(self) -> str:
        """The state in which the service is complete: `done` for a job, otherwise `seeded`."""
        return "done" if self.once else "seeded"


class TestPlan(NamedTuple):
    """A test command of the definition: its arguments, the patterns of its reports, and the services that it needs."""

    run: tuple[str, ...]
    reports: tuple[str, ...]
    only: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The whole environment; `services` are in an order in which they can start."""

    setting: Setting
    services: Mapping[str, ServicePlan]
    outputs: Mapping[str, str]
    write: Mapping[str, str]
    tests: Mapping[str, TestPlan]
    folder: Path
    secrets: frozenset[str]
    """Values that must never be printed."""
    used: Mapping[str, str] = field(default_factory=dict)
    """The services that run elsewhere (`--use`), with their URLs."""
    compose_extra: Mapping[str, Any] = field(default_factory=dict)
    compose_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The values of the variables that a Compose file uses as secrets and configs."""
    losses: tuple[str, ...] = ()
    lanes: tuple[Mapping[str, str], ...] = ()
    """The outputs of each lane; those of the first lane are also `outputs`."""
    ports_wanted: Mapping[PortKey, int] = field(default_factory=dict)
    """The ports that are published, in the order of the definition, each with its number of consecutive ports (replicas)."""
    ports_fixed: Mapping[PortKey, int] = field(default_factory=dict)
    """The published ports whose number the definition fixes (`publish`)."""
    outputs_in: Callable[[str], Mapping[str, str]] = field(default=lambda service: {}, repr=False, compare=False)
    """A function that returns the outputs as a service inside the environment sees them."""
    again: Callable[[Allocation, Addresses], Plan] | None = field(default=None, repr=False, compare=False)
    """A function that makes the whole plan with another allocation, without reading the definition and the project's files again."""
    of_nobody: Callable[[], Plan] | None = field(default=None, repr=False, compare=False)
    """A function that makes the same plan without the names, passwords and addresses of one instance."""

    def with_allocation(self, allocation: Allocation, addresses: Addresses | None = None) -> Plan:
        """Return the final plan, in which every text contains the ports and the subnet of *allocation*.

        Services that were removed from this plan with `replace(plan, services=...)` are in the final plan again.

        Args:
            addresses: the addresses of the engine's services, as the engine reports them.
        """
        assert self.again is not None, "only make_plan's plans can be made again"
        return self.again(allocation, addresses or self.setting.addresses)


@dataclass(frozen=True)
class Selection:
    """The options of the command line that select or replace services."""

    only: Sequence[str] = ()
    stub: Sequence[str] = ()
    use: Mapping[str, str] = field(default_factory=dict)
    image: Mapping[str, str] = field(default_factory=dict)
    lanes: int = 0
