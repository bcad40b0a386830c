"""Definition + Kinds -> Plan: what runs, in which order, under which addresses and with which secrets.

Pure: clock, ids, secrets and ports come in with the `Setting`, so the same input gives the same plan. Files of the project
are read, because they are input; nothing else is.
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
    """What a plan cannot derive from the definition."""

    name: str
    id: str
    environment: str
    project: Path
    engine: EngineTraits
    secret: Callable[[str, str], str]
    """Gives a random-looking text for a service and one of its parameters; it stays the same for the life of the instance."""
    checkout: str = ""
    """The folder of the project on the machine that brought the instance up, if that is another machine."""
    known_key: bool = False
    """Whether the results of `secret` can be computed from the name."""
    allocation: Allocation = field(default_factory=Allocation)
    """The ports and the subnet as far as they are known; `Plan.with_allocation` adds the rest."""
    fixed: frozenset[PortKey] = frozenset()
    """The ports with a requested number."""
    addresses: Addresses = field(default_factory=Addresses)
    """The addresses at which the engine's services are reached."""
    owner: str = ""
    key: str = ""
    """The instance's key, from `--key` or a CI system; otherwise empty."""
    folder: Path = Path()
    """The folder in which each local process has a folder for its files."""
    local: frozenset[str] = frozenset()
    """Services that run as processes of this machine beside another engine (`--local`)."""
    environ: Mapping[str, str] = field(default_factory=dict)
    registry: str | None = None
    """The registry to which built images are pushed for a cluster."""
    image_names: bool = False
    """Whether built images get the names from the definition (`--image-names`)."""
    shared: bool = False
    """Whether its namespace is shared (`--namespace`), so that the names of its services begin with its id."""
    expose: Exposure = field(default_factory=Exposure)
    """How browsers reach the cluster (`[kubernetes.expose]` of envctl.toml)."""
    rewrite: Mapping[str, str] = field(default_factory=dict)
    """A prefix of image names to its replacement (`images` of envctl.toml)."""

    def runs_as_process(self, service: str) -> bool:
        """Whether *service* is a process of this machine."""
        return self.engine.runs_processes or service in self.local


class Port(NamedTuple):
    """A port inside, and the port that is published for it."""

    name: str
    number: int
    outside: int | None = None
    reserved: bool = False
    """Whether the published number must be known before anything is created: it was requested, or a service inside refers to it."""


class File(NamedTuple):
    """A file of a container: text, or a file of the project that is copied."""

    text: str | None = None
    source: Path | None = None
    root: Path = Path()
    """The folder that *source* must not lead out of."""
    secret: bool = False
    """Whether it contains a password, or something that reveals one."""

    def open(self) -> io.BufferedIOBase:
        """Opens the content, to be read in pieces. Raises OSError, FileRefused: its source cannot be read, or was replaced."""
        return io.BytesIO((self.text or "").encode()) if self.text is not None or self.source is None else open_file(self.source, self.root)

    @property
    def content(self) -> bytes:
        """The whole content. Raises as `open` does."""
        with self.open() as stream:
            return stream.read()

    @property
    def digest(self) -> str:
        """The SHA-256 of the content, in hexadecimal digits. Raises as `open` does."""
        with self.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    @property
    def size(self) -> int:
        """The size in bytes. Raises as `open` does."""
        with self.open() as stream:
            return stream.seek(0, io.SEEK_END)

    @property
    def executable(self) -> bool:
        """Whether it is a program: its source is executable."""
        return self.source is not None and os.access(self.source, os.X_OK)


@dataclass(frozen=True)
class Check:
    """One readiness check: the name of the probe's module, and its options."""

    probe: str
    options: Mapping[str, Any] = field(default_factory=dict)


class BuildPlan(NamedTuple):
    """An image to build, and the tag that follows from its content."""

    build: Build
    context: Path
    tag: str
    content: str = ""
    """The hash of everything from which it is built; a tag from the definition does not contain it."""


class Feed(NamedTuple):
    """The client in the server's container that reads a seed on its standard input."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    dialect: str
    select: tuple[str, ...] = ()
    """The command that prints the values of a column."""


class Table(NamedTuple):
    """What a bulk loader needs to know about the rows that follow."""

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
    """The folder to which the names of *files* are relative; if there is only one file, that file."""
    needs: Mapping[str, str] = field(default_factory=dict)
    feed: Feed | None = None
    env: Mapping[str, str] | None = None
    """With lanes: the command's variables (on this machine, the outputs), with the addresses of the seeded unit."""
    inline: Any = None
    """The data that is written in the step itself, evaluated."""
    feed_for: Callable[[Table], Feed] | None = field(default=None, compare=False)
    """Gives the feed for a table, for formats whose data names the tables."""
    personal: bool = False
    """Whether its data contains something of this instance alone, or a secret of its user."""

    @property
    def title(self) -> str:
        what = self.step.file or " ".join(self.command)
        return f"{self.step.format} {what}".rstrip()


class FirstStep(NamedTuple):
    """A command right after a server's first start; the exit status *again* means that the server does not answer yet."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    stdin: str
    again: int | None


class Requested(NamedTuple):
    """What is reserved for a service: processors and bytes; None leaves it to its kind."""

    cpu: float | None = None
    memory: int | None = None
    storage: int | None = None


class Limits(NamedTuple):
    """The most that a service may use."""

    cpu: float | None = None
    """A number of processors."""
    memory: int | None = None
    """Bytes."""
    storage: int | None = None
    """Bytes of the node's disk, on Kubernetes."""
    requests: Requested = Requested()


class LocalPlan(NamedTuple):
    """What a service needs in addition to run as a process of this machine."""

    version: str
    """The requested version; empty without one."""
    template: tuple[str, ...] = ()
    first: tuple[FirstStep, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    """The pattern of a file below the program's prefix, and the message if it is missing."""
    wanted: int = 1
    """The number of replicas in the definition; one runs."""
    image: str = ""
    """An image that the definition names instead of the kind's own; the program of this machine replaces it."""
    program: LocalProgram | None = None
    """The program that runs it, unless the definition has `run`."""
    title: str = ""
    """The title of its kind."""


@dataclass(frozen=True)
class SnapshotPlan:
    """How the data of a service is kept, and how a copy of it becomes this instance's (`Snapshot` of its kind, evaluated)."""

    folder: str
    always: bool
    """Whether its data is kept even without seeds."""
    kind: str
    """The hash of everything in its kind."""
    consistent: tuple[tuple[tuple[str, ...], Mapping[str, str], str], ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)
    before: str = ""
    direct: bool = False
    """Whether it starts without the image's entry point."""


@dataclass(frozen=True)
class ServicePlan:
    """One service, with everything evaluated for its place in the environment, so that later code need not read its kind."""

    name: str
    kind: str
    """The name of its kind."""
    host: str
    """The host name under which other services find it inside."""
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
    """Service to the condition for which this one waits before it starts: started, ready, seeded or done."""
    steps: tuple[Step, ...]
    setup: tuple[tuple[tuple[str, ...], Mapping[str, str], str], ...]
    """Commands that run in the server once it is ready: arguments, environment, standard input."""
    inside: Mapping[str, Any]
    outside: Mapping[str, Any]
    stop: float
    slow: float = 1.0
    """How long it takes to become ready, compared with most other services."""
    exposed: Exposed | None = None
    """Its URL for browsers, if it has one."""
    declares: tuple[str, ...] = ()
    """Modules of envctl/seeding/declaring that create what it declares, once it is ready."""
    once: bool = False
    """Whether it runs once, and is `done` when it has exited with 0."""
    own: bool = False
    """Whether it is the team's own code."""
    unset: tuple[str, ...] = ()
    """Variables of its image that its Compose file unsets: it names them, and nobody gives them a value."""
    replicas: int = 1
    resources: Limits | None = None
    mounts: tuple[str, ...] = ()
    """Folders into which its kind puts files; they exist even without files."""
    writable: tuple[str, ...] = ()
    """Paths that stay writable on a read-only root file system."""
    unexpressed: tuple[str, ...] = ()
    """The probes of its checks that `healthcheck` does not include."""
    healthcheck_loss: str = ""
    """Why it has no health check, as its kind says; otherwise empty."""
    losses: tuple[str, ...] = ()
    """Notes for users of its kind."""
    advertised: str = ""
    """The port that is published instead of the main one, because the server redirects clients to it."""
    pod: Kubernetes = field(default_factory=Kubernetes)
    """What it needs in addition as a pod, from its kind and from the definition."""
    run: tuple[str, ...] = ()
    folder: Path | None = None
    shell: tuple[str, ...] = ()
    shell_env: Mapping[str, str] = field(default_factory=dict)
    local: LocalPlan | None = None
    """What it needs as a process of this machine; None if it is none."""
    snapshot: SnapshotPlan | None = None
    """How its data is kept for the next instance; None if it is not."""
    personal: bool = False
    """Whether its first data depends on the name of this instance, or on something given to it alone."""
    ephemeral: bool = False
    """Whether its data is lost with its process, so that it is seeded after each start."""
    gated: bool = False
    """Whether no service inside may reach it before it has its data."""
    drawn: bool = False
    """Whether credentials were generated because the definition has none."""
    tester: bool = False
    """Whether it refers to the machine on which the tests run."""
    refers: frozenset[str] = frozenset()
    """Services whose addresses it was given, including itself and those that run elsewhere; `needs` has those for which it waits."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels in addition to those of the instance."""
    from_compose: bool = False
    places: tuple[str, ...] = ()
    """For a server of a Compose file: the folders in which its image may keep data, and where other folders are named."""
    compose: Mapping[str, Any] = field(default_factory=dict)
    kubernetes: Any = field(default_factory=dict)
    unit: Unit | None = None
    """What each lane has of it, and how it is reset."""
    lane: int = 0
    """The lane to which it belongs; 0 if all share it, or without lanes."""
    written: str = ""
    """Its name in the definition."""
    later: tuple[str, ...] = ()
    """Keys in the definition that this version does not support yet."""

    @property
    def sets_up(self) -> bool:
        """Whether something is created in its server after it is ready and before its seeds."""
        return bool(self.setup or self.declares)

    @property
    def sets_up_by(self) -> str:
        """The command or module that creates the first item."""
        return self.setup[0][0][0] if self.setup else self.declares[0]

    @property
    def outside_ports(self) -> dict[str, int]:
        return {port.name: port.outside or 0 for port in self.ports}

    @property
    def endpoints(self) -> dict[str, int]:
        """Name to outside port, as users see them; the main port is reached through the advertised one."""
        found = {port.name: port.outside for port in self.ports if port.outside}
        return {self.ports[0].name: found[self.advertised]} if self.advertised in found else found

    @property
    def final(self) -> str:
        """The state in which it is complete: `done` for a job, otherwise `seeded`."""
        return "done" if self.once else "seeded"


class TestPlan(NamedTuple):
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
    """Services that run elsewhere (`--use`), with their URLs."""
    compose_extra: Mapping[str, Any] = field(default_factory=dict)
    compose_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The values of variables that are secrets and configs of a Compose file."""
    losses: tuple[str, ...] = ()
    lanes: tuple[Mapping[str, str], ...] = ()
    """The outputs of each lane; those of the first lane are also `outputs`."""
    ports_wanted: Mapping[PortKey, int] = field(default_factory=dict)
    """The ports that are published, in the order of the definition, with the number of consecutive ports for each (replicas)."""
    ports_fixed: Mapping[PortKey, int] = field(default_factory=dict)
    """Those of them whose number the definition fixes (`publish`)."""
    outputs_in: Callable[[str], Mapping[str, str]] = field(default=lambda service: {}, repr=False, compare=False)
    """The outputs as they are seen from inside a service."""
    again: Callable[[Allocation, Addresses], Plan] | None = field(default=None, repr=False, compare=False)
    """Makes the whole plan with another allocation; the definition and the project's files are not read for it."""
    of_nobody: Callable[[], Plan] | None = field(default=None, repr=False, compare=False)
    """Makes the same plan without anything of one instance: its name, its passwords, its addresses, or those that were given."""

    def with_allocation(self, allocation: Allocation, addresses: Addresses | None = None) -> Plan:
        """The final plan, in which every text contains the ports and the subnet of *allocation*.

        Args:
            addresses: where the engine's services are reached, as it says itself.

        What was left out of this plan since it was made (`replace(plan, services=...)`) is in it again.
        """
        assert self.again is not None, "only make_plan's plans can be made again"
        return self.again(allocation, addresses or self.setting.addresses)


@dataclass(frozen=True)
class Selection:
    """What the command line sets for services."""

    only: Sequence[str] = ()
    stub: Sequence[str] = ()
    use: Mapping[str, str] = field(default_factory=dict)
    image: Mapping[str, str] = field(default_factory=dict)
    lanes: int = 0
