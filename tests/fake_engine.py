"""Simulate an engine in memory that fulfils the whole engine protocol and runs nothing. `installed` makes it available as `--engine fake`.

Scripts define what its services do, and a function defines what commands do; all other code is the same as with real engines.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from types import ModuleType

import pytest

from envctl.engines import registry
from envctl.engines.free_ports import allocate_ports, free_here
from envctl.engines.protocol import (
    CommandResult,
    Deployment,
    DeploymentSettings,
    Engine,
    Execution,
    FoundInstance,
    Progress,
    ServiceState,
    TerminalCommand,
    Wanted,
)
from envctl.errors import EnvctlError
from envctl.instance import labels
from envctl.instance.allocation import Allocation
from envctl.plan.model import Plan, ServicePlan
from envctl.plan.traits import Addresses, EngineTraits
from envctl.process.attached import Attached

NAME = "fake"
TRAITS = EngineTraits(NAME, "a test")
KILLED, NOT_FOUND = 137, 127
Commands = Callable[[Sequence[str], Mapping[str, str], bytes], CommandResult]
_ids = count(1)


@dataclass(frozen=True)
class Script:
    """What a service does when it is started: it prints, and then runs on or ends with an exit code."""

    prints: str = ""
    ends: int | None = None


@dataclass
class Replica:
    """One process of a service."""

    running: bool = False
    status: int | None = None
    id: str = ""
    log: str = ""


@dataclass
class Created:
    """A service that has been created."""

    plan: ServicePlan
    replicas: list[Replica]
    data_id: str = field(default_factory=lambda: f"data {next(_ids)}")


@dataclass
class Instance:
    """The state of one instance; `changed` is notified of every change."""

    id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    expires: str | None = None
    services: dict[str, Created] = field(default_factory=dict)
    listeners: list[Callable[[str, int], None]] = field(default_factory=list)
    lost: list[Callable[[BaseException], None]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def begin(self, service: str, script: Script) -> None:
        with self.changed:
            for each in self.services[service].replicas:
                if not each.running:
                    each.running, each.status, each.id = True, None, f"{service} {next(_ids)}"
                    each.log += script.prints
            self.changed.notify_all()
        if script.ends is not None:
            self.end(service, script.ends)

    def end(self, service: str, status: int, replica: int | None = None) -> None:
        """Let one process of the service, or all of them, end now, and notify the listeners."""
        with self.changed:
            every = self.services[service].replicas
            ended = [each for each in (every if replica is None else [every[replica]]) if each.running]
            for each in ended:
                each.running, each.status = False, status
            self.changed.notify_all()
        for listener in list(self.listeners) if ended else ():
            listener(service, status)

    def lose(self, error: BaseException) -> None:
        """Report that the engine cannot observe exits any more."""
        for listener in list(self.lost):
            listener(error)


def no_commands(argv: Sequence[str], env: Mapping[str, str], stdin: bytes) -> CommandResult:
    return CommandResult(NOT_FOUND, f"{argv[0]}: not found")


@dataclass
class FakeEngine:
    """The instances by id, and what their services and commands do."""

    scripts: Mapping[str, Script] = field(default_factory=dict)
    commands: Commands = no_commands
    instances: dict[str, Instance] = field(default_factory=dict)
    unpreparable: Mapping[str, EnvctlError] = field(default_factory=dict)
    """Services whose image is not available."""
    name: str = NAME

    def addresses(self) -> Addresses:
        return TRAITS.addresses

    def allocate(self, id: str, wanted: Wanted, kept: Allocation, taken: Collection[int], refused: Collection[str]) -> Allocation:
        free = (subnet for number in range(256) if (subnet := f"10.0.{number}.0/24") not in refused)
        return Allocation(allocate_ports(wanted.ports, kept.ports, taken, free_here), kept.subnet or next(free))

    def deployment(self, plan: Plan, settings: DeploymentSettings) -> FakeDeployment:
        return FakeDeployment(self, plan.setting.id, plan, settings)

    def attach(self, id: str) -> FakeInstance:
        return FakeInstance(self, id)

    def list(self, id: str = "") -> Sequence[FoundInstance]:
        return [_found(each) for each in self.instances.values() if id in ("", each.id)]

    def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
        there = self.instances.pop(id, None)
        for name in there.services if there else ():
            there.end(name, 0 if stop.get(name) else KILLED)  # type: ignore[union-attr]
        return []


def _found(there: Instance) -> FoundInstance:
    replicas = [each for created in there.services.values() for each in created.replicas]
    told = there.labels
    return FoundInstance(
        there.id, told[labels.NAME], told[labels.ENVIRONMENT], told[labels.PROJECT], told[labels.OWNER], "", there.expires,
        running=sum(each.running for each in replicas), total=len(replicas), done=sum(each.status == 0 for each in replicas),
    )  # fmt: skip


@dataclass
class FakeInstance:
    """A handle for an instance, which may not exist."""

    engine: FakeEngine
    id: str

    @property
    def there(self) -> Instance:
        """Return the instance as it is now, or an empty one that is not stored if it does not exist."""
        return self.engine.instances.get(self.id) or Instance(self.id)

    def created(self, service: str) -> Created:
        try:
            return self.there.services[service]
        except KeyError:
            raise EnvctlError(f"{service} is not there", hint="`envctl up` brings it back") from None

    def states(self) -> Mapping[str, ServiceState]:
        return {name: self.state(name) for name in self.there.services}

    def state(self, service: str) -> ServiceState:
        created = self.there.services.get(service)
        found = [ServiceState(each.running, each.status, id=each.id) for each in created.replicas] if created else []
        return next((state for state in found if not state.running), found[0] if found else ServiceState())

    def logs(self, service: str, tail: int | None = None) -> Iterator[bytes]:
        created = self.there.services.get(service)
        yield from (_last(each.log, tail).encode() for each in (created.replicas if created else ()))

    def follow(self, services: Sequence[str], tail: int | None) -> Iterator[tuple[str, bytes]]:
        there = self.there
        replicas = [(name, each) for name in services if name in there.services for each in there.services[name].replicas]
        seen = [len(each.log) - len(_last(each.log, tail)) for _, each in replicas]
        while True:
            with there.changed:
                running = any(each.running for _, each in replicas)
                pieces = [(name, each.log[begin:]) for (name, each), begin in zip(replicas, seen, strict=True)]
                if running and not any(text for _, text in pieces):
                    there.changed.wait()
                    continue
            seen = [begin + len(text) for begin, (_, text) in zip(seen, pieces, strict=True)]
            yield from ((name, text.encode()) for name, text in pieces if text)
            if not running:
                return

    def interactive(self, service: str, argv: Sequence[str], env: Mapping[str, str], user: str | None) -> TerminalCommand:
        return TerminalCommand(argv, {**self.created(service).plan.env, **env})

    def renew(self, expires: str | None, labels: Mapping[str, str]) -> None:
        if self.id in self.engine.instances:
            self.there.expires = expires


def _last(text: str, lines: int | None) -> str:
    return text if lines is None else "".join(text.splitlines(keepends=True)[-lines:] if lines else [])


@dataclass
class FakeDeployment(FakeInstance):
    """An instance together with its plan."""

    plan: Plan
    settings: DeploymentSettings

    def prepare(self, progress: Progress) -> None:
        for service in self.plan.services.values():
            if service.name in self.engine.unpreparable:
                raise self.engine.unpreparable[service.name]
            progress(service.name, f"pulling {service.image}")

    def create(self, *, whole: bool = True) -> None:
        with self.settings.in_flight.creating():
            there = self.engine.instances.setdefault(self.id, Instance(self.id))
            there.labels = dict(self.settings.labels)
            for service in self.plan.services.values():
                self._make(there, service)
            for name in list(there.services.keys() - self.plan.services.keys()) if whole else ():
                there.end(name, KILLED)
                del there.services[name]

    def _make(self, there: Instance, service: ServicePlan) -> None:
        """Create a service, or replace one that has changed; its data stays if it has a data folder."""
        before = there.services.get(service.name)
        if before is not None and before.plan == service:
            return
        if before is not None:
            there.end(service.name, KILLED)
        made = Created(service, [Replica() for _ in range(service.replicas)])
        if before is not None and service.data is not None:
            made.data_id = before.data_id
        there.services[service.name] = made

    def start(self, service: ServicePlan) -> None:
        self.created(service.name)
        self.there.begin(service.name, self.engine.scripts.get(service.name, Script()))

    def stop(self, service: ServicePlan) -> None:
        if service.name in self.there.services:
            self.there.end(service.name, 0)

    def discard(self, service: ServicePlan) -> None:
        if service.name in self.there.services:
            self.there.end(service.name, KILLED)
            self.there.services.pop(service.name, None)

    @contextmanager
    def exit_events(self, on_exit: Callable[[str, int], None], on_loss: Callable[[BaseException], None]) -> Iterator[None]:
        there = self.there
        there.listeners.append(on_exit)
        there.lost.append(on_loss)
        try:
            yield
        finally:
            there.listeners.remove(on_exit)
            there.lost.remove(on_loss)

    def exit_reason(self, service: ServicePlan) -> EnvctlError | None:
        return None

    def execute(self, service: str, what: Execution) -> CommandResult:
        env = {**self.created(service).plan.env, **what.env}
        return self.engine.commands(what.argv, env, b"".join(what.stdin))

    def listening(self, service: str) -> Sequence[tuple[str, int]]:
        return []

    def run_command(self, service: ServicePlan, argv: Sequence[str], attached: Attached | None = None) -> CommandResult:
        ran = self.engine.commands(argv, service.env, b"")
        if attached is None or ran.status in (126, NOT_FOUND):
            return ran
        attached.begins(lambda number: None)
        attached.out(ran.output.encode())
        return CommandResult(ran.status, "")

    def data_id(self, service: ServicePlan) -> str:
        created = self.there.services.get(service.name)
        if created is None:
            return ""
        return f"{created.data_id} {created.replicas[0].id}" if service.ephemeral else created.data_id

    def probe_ports(self, service: ServicePlan) -> Mapping[str, int]:
        return service.outside_ports

    def finish(self, whole: Collection[str]) -> None:
        """Do nothing."""


_AN_ENGINE: Engine = FakeEngine()
_A_DEPLOYMENT: type[Deployment] = FakeDeployment
"""Lets the type checker verify that the simulation has every method of the protocols."""


@contextmanager
def installed(engine: FakeEngine) -> Iterator[FakeEngine]:
    """Let the engine name `fake` open *engine* while the block runs."""
    patch = pytest.MonkeyPatch()
    package = f"envctl.engines.{NAME}"
    for module in (
        _module(package),
        _module(f"{package}.engine", open_engine=lambda location, host: engine),
        _module(f"{package}.traits", TRAITS=TRAITS),
        _module(f"{package}.doctor", findings=lambda host: iter(())),
    ):
        patch.setitem(sys.modules, module.__name__, module)
    patch.setattr(registry, "_NAMES", (*registry._NAMES, NAME))
    try:
        yield engine
    finally:
        patch.undo()


def _module(name: str, **content: object) -> ModuleType:
    made = ModuleType(name)
    made.__dict__.update(content)
    return made
