"""Definition + Kinds -> Plan: what runs, in which order, under which addresses and with which secrets.

Pure: clock, ids, secrets and ports come in with the `Setting`, so the same input gives the same plan. Files of the project
are read (they are input), nothing else is.
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
    """A random-looking text for a service and one of its parameters, the same for the instance's life."""
    checkout: str = ""
    """The folder of the project on the machine that brought it up, where that is another one."""
    known_key: bool = False
    """Whoever knows the name knows what `secret` gives."""
    allocation: Allocation = field(default_factory=Allocation)
    """What is known of ports and the subnet; `Plan.with_allocation` fills in the rest."""
    fixed: frozenset[PortKey] = frozenset()
    """Those whose number somebody asked for."""
    addresses: Addresses = field(default_factory=Addresses)
    """Where the engine's services are reached."""
    owner: str = ""
    key: str = ""
    """Whose it is, where `--key` or a CI system says so."""
    folder: Path = Path()
    """Where local processes have their files, a folder each."""
    local: frozenset[str] = frozenset()
    """Services that run as processes of this machine though the engine is another one (`--local`)."""
    environ: Mapping[str, str] = field(default_factory=dict)
    registry: str | None = None
    """Where images that are built here are pushed, so that a cluster gets at them."""
    image_names: bool = False
    """What is built gets the names that the definition gives (`--image-names`)."""
    shared: bool = False
    """Its namespace is not its own (`--namespace`): the names of its services begin with its id."""
    expose: Exposure = field(default_factory=Exposure)
    """How the cluster is reached from outside (`[kubernetes.expose]` of envctl.toml)."""
    rewrite: Mapping[str, str] = field(default_factory=dict)
    """Prefix of an image's name to what stands in its place (`images` of envctl.toml)."""

    def runs_as_process(self, service: str) -> bool:
        """Whether *service* is a process of this machine."""
        return self.engine.runs_processes or service in self.local


class Port(NamedTuple):
    """A port inside, and the one that is published for it."""

    name: str
    number: int
    outside: int | None = None
    reserved: bool = False
    """Its number was asked for, or somebody inside refers to it, so that it must be known before anything is created."""


class File(NamedTuple):
    """A file of a container: text, or a binary that is copied."""

    text: str | None = None
    source: Path | None = None
    root: Path = Path()
    """What *source* may not lead out of."""
    secret: bool = False
    """Its kind puts a password into it, or what gives one away."""

    def open(self) -> io.BufferedIOBase:
        """What it holds, to be read in pieces. Raises OSError, FileRefused: its source cannot be read, or has become another one."""
        return io.BytesIO((self.text or "").encode()) if self.text is not None or self.source is None else open_file(self.source, self.root)

    @property
    def content(self) -> bytes:
        """All that it holds. Raises as `open` does."""
        with self.open() as stream:
            return stream.read()

    @property
    def digest(self) -> str:
        """The SHA-256 of that, in hexadecimal digits. Raises as `open` does."""
        with self.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    @property
    def size(self) -> int:
        """In bytes. Raises as `open` does."""
        with self.open() as stream:
            return stream.seek(0, io.SEEK_END)

    @property
    def executable(self) -> bool:
        """Whether it is a program: its source may be run."""
        return self.source is not None and os.access(self.source, os.X_OK)


@dataclass(frozen=True)
class Check:
    """One readiness check: the probe's module and its options."""

    probe: str
    options: Mapping[str, Any] = field(default_factory=dict)


class BuildPlan(NamedTuple):
    """What is built, and the tag that its content gives it."""

    build: Build
    context: Path
    tag: str
    content: str = ""
    """The hash of everything that makes it; a tag that the definition gives does not say it."""


class Feed(NamedTuple):
    """The client in the server's container that reads a seed on its standard input."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    dialect: str
    select: tuple[str, ...] = ()
    """Prints the values of a column."""


class Table(NamedTuple):
    """What a bulk loader is told of the rows that follow."""

    name: str
    columns: tuple[str, ...]
    binary: frozenset[str] = frozenset()
    """The columns whose values are bytes."""


@dataclass(frozen=True)
class Step:
    """A seed step of a service with its files found and its texts evaluated."""

    service: str
    number: int
    step: SeedStep
    hash: str
    files: tuple[Path, ...]
    where: str
    """file:line of the definition."""
    command: tuple[str, ...] = ()
    folder: Path = Path()
    """What the names of *files* are relative to; the file itself where it is one."""
    needs: Mapping[str, str] = field(default_factory=dict)
    feed: Feed | None = None
    env: Mapping[str, str] | None = None
    """With lanes: the variables of the command's program, or the outputs for one on this machine, as what is seeded needs them."""
    inline: Any = None
    """The data that stands in the step itself, evaluated."""
    feed_for: Callable[[Table], Feed] | None = field(default=None, compare=False)
    """For formats that learn from their data what goes into which table."""
    personal: bool = False
    """Its data holds what this instance alone is told, or a secret of its user."""

    @property
    def title(self) -> str:
        what = self.step.file or " ".join(self.command)
        return f"{self.step.format} {what}".rstrip()


class FirstStep(NamedTuple):
    """A command right after a server's first start; *again* is its status for a server that does not answer yet."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    stdin: str
    again: int | None


class Requested(NamedTuple):
    """What is kept for a service: processors and bytes; None where its kind says it."""

    cpu: float | None = None
    memory: int | None = None
    storage: int | None = None


class Limits(NamedTuple):
    """What a service may use at most."""

    cpu: float | None = None
    """Processors."""
    memory: int | None = None
    """Bytes."""
    storage: int | None = None
    """Bytes of the node's disk, on Kubernetes."""
    requests: Requested = Requested()


class LocalPlan(NamedTuple):
    """What a service needs as a process of this machine, beside what it needs anywhere."""

    version: str
    """The version that is asked for; empty where there is none."""
    template: tuple[str, ...] = ()
    first: tuple[FirstStep, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    """Pattern of a file below the program's prefix, and what to say where it is not there."""
    wanted: int = 1
    """How many of it the definition asks for; one runs."""
    image: str = ""
    """The image that was asked for in the place of the kind's own; the program of this machine stands in its place."""
    program: LocalProgram | None = None
    """What runs it, where the definition does not say it with `run`."""
    title: str = ""
    """What people call its kind."""


@dataclass(frozen=True)
class SnapshotPlan:
    """How the data of a service is kept, and what a copy of it needs to become this instance's (`Snapshot` of its kind, evaluated)."""

    folder: str
    always: bool
    """Its first start is worth keeping, even without seeds."""
    kind: str
    """The hash of everything that its kind says."""
    consistent: tuple[tuple[tuple[str, ...], Mapping[str, str], str], ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)
    before: str = ""
    direct: bool = False
    """Without the entry point of the image."""


@dataclass(frozen=True)
class ServicePlan:
    """One service, everything evaluated for its place inside the environment: nobody behind the plan reads its kind."""

    name: str
    kind: str
    """The name of its kind."""
    host: str
    """The name under which the others find it inside."""
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
    """Service to the condition waited for before this one starts: started, ready, seeded or done."""
    steps: tuple[Step, ...]
    setup: tuple[tuple[tuple[str, ...], Mapping[str, str], str], ...]
    """Commands in the server once it is ready: arguments, environment, standard input."""
    inside: Mapping[str, Any]
    outside: Mapping[str, Any]
    stop: float
    slow: float = 1.0
    """How long it takes to get ready, beside most others."""
    exposed: Exposed | None = None
    """Its URL for browsers, where the cluster has one for it."""
    declares: tuple[str, ...] = ()
    """Modules of envctl/seeding/declaring that make what it declares, once it is ready."""
    once: bool = False
    """It runs once, and is `done` when it has ended with 0."""
    own: bool = False
    """It is the team's own code."""
    replicas: int = 1
    resources: Limits | None = None
    mounts: tuple[str, ...] = ()
    """Folders into which its kind puts files; they are there even if it has none."""
    writable: tuple[str, ...] = ()
    """Paths that stay writable where the rest of its root is not."""
    unexpressed: tuple[str, ...] = ()
    """The probes of its checks that `healthcheck` leaves out."""
    healthcheck_loss: str = ""
    """Why it has no health check, where its kind says so."""
    losses: tuple[str, ...] = ()
    """What a user of its kind should know."""
    advertised: str = ""
    """The port whose outside address stands for that of the main one: clients are sent on to it."""
    pod: Kubernetes = field(default_factory=Kubernetes)
    """What it needs as a pod, beside what it needs anywhere: what its kind says, and what follows from the definition."""
    run: tuple[str, ...] = ()
    folder: Path | None = None
    shell: tuple[str, ...] = ()
    shell_env: Mapping[str, str] = field(default_factory=dict)
    local: LocalPlan | None = None
    """It is a process of this machine."""
    snapshot: SnapshotPlan | None = None
    """How its data is kept for the next instance, where its kind says it."""
    personal: bool = False
    """What it begins with is named after this instance, or what it is given."""
    ephemeral: bool = False
    """Its data goes with its process, so that it is seeded whenever that has been started."""
    gated: bool = False
    """Nobody inside may reach it before it has its data."""
    drawn: bool = False
    """Credentials of it are drawn, as nobody gave them."""
    tester: bool = False
    """It refers to the machine of the tests."""
    refers: frozenset[str] = frozenset()
    """Services, itself and those that run elsewhere included, whose addresses it was given; `needs` says what it waits for."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """On top of those that everything of the instance carries."""
    from_compose: bool = False
    places: tuple[str, ...] = ()
    """Of a server of a Compose file: the folders in which its image may keep data, and what names others."""
    compose: Mapping[str, Any] = field(default_factory=dict)
    kubernetes: Any = field(default_factory=dict)
    unit: Unit | None = None
    """What lanes have of it, and how it is reset."""
    lane: int = 0
    """The one whose own it is; 0 where it is shared, or where there are none."""
    written: str = ""
    """Its name in the definition."""
    later: tuple[str, ...] = ()
    """Keys that are given and that nothing acts on yet."""

    @property
    def sets_up(self) -> bool:
        """Whether something is made in its server once it is ready, before its seeds."""
        return bool(self.setup or self.declares)

    @property
    def sets_up_by(self) -> str:
        """What makes the first of it."""
        return self.setup[0][0][0] if self.setup else self.declares[0]

    @property
    def outside_ports(self) -> dict[str, int]:
        return {port.name: port.outside or 0 for port in self.ports}

    @property
    def endpoints(self) -> dict[str, int]:
        """Name to outside port, as a user sees them; the main one is reached through the advertised one."""
        found = {port.name: port.outside for port in self.ports if port.outside}
        return {self.ports[0].name: found[self.advertised]} if self.advertised in found else found

    @property
    def final(self) -> str:
        """The state in which it has everything: `done` for a job, else `seeded`."""
        return "done" if self.once else "seeded"


class TestPlan(NamedTuple):
    run: tuple[str, ...]
    reports: tuple[str, ...]
    only: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The whole environment; `services` stand in an order in which they can start."""

    setting: Setting
    services: Mapping[str, ServicePlan]
    outputs: Mapping[str, str]
    write: Mapping[str, str]
    tests: Mapping[str, TestPlan]
    folder: Path
    secrets: frozenset[str]
    """Values that must never be printed."""
    used: Mapping[str, str] = field(default_factory=dict)
    """Services that run already somewhere, and their URLs."""
    compose_extra: Mapping[str, Any] = field(default_factory=dict)
    losses: tuple[str, ...] = ()
    lanes: tuple[Mapping[str, str], ...] = ()
    """The outputs of each lane; those of the first are `outputs` too."""
    ports_wanted: Mapping[PortKey, int] = field(default_factory=dict)
    """The ports that get a number outside, in the order of the definition, and how many in a row each wants (replicas)."""
    ports_fixed: Mapping[PortKey, int] = field(default_factory=dict)
    """Those of them whose number outside the definition says (`publish`)."""
    outputs_in: Callable[[str], Mapping[str, str]] = field(default=lambda service: {}, repr=False, compare=False)
    """The outputs as they are seen from inside a service."""
    again: Callable[[Allocation, Addresses], Plan] | None = field(default=None, repr=False, compare=False)
    """Makes the whole plan with another allocation; the definition and the project's files are not read for it."""
    of_nobody: Callable[[], Plan] | None = field(default=None, repr=False, compare=False)
    """Makes the same plan without anything that is an instance's own: its name, its passwords, its addresses, those that were given."""

    def with_allocation(self, allocation: Allocation, addresses: Addresses | None = None) -> Plan:
        """The plan that runs: every text that names a port or the subnet has *allocation*'s.

        Args:
            addresses: where the engine's services are reached, as it says itself.

        What was left out of this plan since it was made (`replace(plan, services=...)`) is in it again.
        """
        assert self.again is not None, "only make_plan's plans can be made again"
        return self.again(allocation, addresses or self.setting.addresses)


@dataclass(frozen=True)
class Selection:
    """What the command line says about services."""

    only: Sequence[str] = ()
    stub: Sequence[str] = ()
    use: Mapping[str, str] = field(default_factory=dict)
    image: Mapping[str, str] = field(default_factory=dict)
    lanes: int = 0
