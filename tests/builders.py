"""Build plans and their parts directly, and simulate an engine's deployment that runs nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

from envctl.definition.models import SeedStep
from envctl.engines import CommandResult, Execution, Progress, ServiceState, TerminalCommand
from envctl.engines.registry import traits
from envctl.environment import Environment, open_environment
from envctl.errors import EnvctlError
from envctl.instance.allocation import Allocation
from envctl.instance.machine import process_mark
from envctl.instance.record import Record
from envctl.plan.make import make_plan
from envctl.plan.model import Feed, Plan, Port, ServicePlan, Setting, Step
from envctl.plan.referenced_services import published
from envctl.process.attached import Attached
from envctl.session import Session

FIRST_PORT = 20000


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write *files* (path to content) below *folder*; the indentation of texts is removed."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else dedent(content).encode())


def environment_of(folder: Path, text: str, files: Mapping[str, str | bytes] | None = None, **options: Any) -> Environment:
    """Return the environment `t` of *folder*, which is also its project."""
    write(folder, {**(files or {}), "envctl.toml": "", "environment.yaml": "name: t\n" + dedent(text)})
    return open_environment(folder / "environment.yaml", cwd=folder, **{"environ": {}, **options})


def ports_of(environment: Environment) -> Allocation:
    """Return an allocation with a number for every port, counted from FIRST_PORT."""
    return Allocation({key: FIRST_PORT + number for number, key in enumerate(published(environment))})


def setting_of(environment: Environment, **changes: Any) -> Setting:
    """Return a setting with credentials `<service>-<parameter>` and outside ports counted from FIRST_PORT, with *changes*."""
    standard: dict[str, Any] = {
        "name": "t",
        "id": "t-123456",
        "environment": environment.definition.name,
        "project": environment.loaded.project,
        "engine": traits("docker"),
        "secret": lambda service, parameter: f"{service}-{parameter}",
        "allocation": ports_of(environment),
    }
    return Setting(**{**standard, **changes})


def plan_of(folder: Path, text: str, files: Mapping[str, str | bytes] | None = None, **changes: Any) -> Plan:
    environment = environment_of(folder, text, files)
    return make_plan(environment, setting_of(environment, **changes))


def service(name: str, **changes: Any) -> ServicePlan:
    """Return a service that needs nothing and is ready at once."""
    standard: dict[str, Any] = {
        "name": name,
        "kind": "service",
        "host": name,
        "image": f"{name}:1",
        "build": None,
        "user": None,
        "data": None,
        "entrypoint": (),
        "command": (),
        "env": {},
        "files": {},
        "ports": (),
        "checks": (),
        "ready_timeout": 60.0,
        "healthcheck": (),
        "needs": {},
        "steps": (),
        "setup": (),
        "inside": {},
        "outside": {"host": "127.0.0.1"},
        "stop": 0.0,
    }
    return ServicePlan(**{**standard, **changes})


def job(name: str, **changes: Any) -> ServicePlan:
    return service(name, kind="job", once=True, **changes)


def port(name: str, number: int, outside: int | None = None, reserved: bool = False) -> Port:
    return Port(name, number, outside, reserved)


def plan_with(*services: ServicePlan, project: Path = Path("/project"), **changes: Any) -> Plan:
    setting = Setting("t", "t-123456", "t", project, traits("docker"), lambda service, parameter: "")
    standard: dict[str, Any] = {
        "setting": setting,
        "services": {each.name: each for each in services},
        "outputs": {},
        "write": {},
        "tests": {},
        "folder": Path("/project"),
        "secrets": frozenset(),
    }
    return Plan(**{**standard, **changes})


def step_of(service: str, number: int = 0, **changes: Any) -> Step:
    given = changes.pop("step", {"command": "seed"})
    standard: dict[str, Any] = {"hash": f"hash {number}", "files": (), "where": "environment.yaml:7", "command": ("seed", str(number))}
    return Step(service=service, number=number, step=SeedStep.model_validate(given), **{**standard, **changes})


def feed(dialect: str = "sql") -> Feed:
    return Feed(("client", "-f", "-"), {"PASSWORD": "x"}, dialect)


def record_of(**changes: Any) -> Record:
    standard: dict[str, Any] = {
        "name": "t",
        "id": "t-123456",
        "environment": "t",
        "engine": "docker",
        "project": "/project",
        "file": "/project/environment.yaml",
        "created": "2030-01-01T00:00:00Z",
        "secret": "00",
    }
    return Record(**{**standard, **changes})


def session_in(folder: Path, cwd: Path | None = None, **environ: str) -> Session:
    """Return a session that only knows instances in *folder*."""
    return Session({"PATH": os.environ.get("PATH", os.defpath), "XDG_STATE_HOME": str(folder), **environ}, cwd or folder)


def ended_mark() -> str:
    """Return the mark of a process on this machine that has ended."""
    host, pid, _ = process_mark().rsplit(":", 2)
    return f"{host}:{pid}:0"


@dataclass
class FakeDeployment:
    """A deployment that records calls instead of acting on them.

    `started` has the services' names in order, `executed` the service and arguments of each execution, `fed` its input.
    """

    seen: dict[str, ServiceState] = field(default_factory=dict)
    """The state of a service once it is started."""
    answers: dict[tuple[str, ...], CommandResult] = field(default_factory=dict)
    on_start: dict[str, Callable[[], None]] = field(default_factory=dict)
    logged: dict[str, str] = field(default_factory=dict)
    listens: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    data_ids: dict[str, str] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)
    executed: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    fed: list[bytes] = field(default_factory=list)
    environments: list[Mapping[str, str]] = field(default_factory=list)
    ran_once: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    expected: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    created: list[bool] = field(default_factory=list)
    finished: list[Collection[str]] = field(default_factory=list)
    known: dict[str, EnvctlError] = field(default_factory=dict)
    """By service: why it ended, if the engine knows the reason."""
    on_exit: Callable[[str, int], None] = lambda service, status: None
    on_loss: Callable[[BaseException], None] = lambda error: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def prepare(self, progress: Progress) -> None: ...

    def create(self, *, whole: bool = True) -> None:
        self.created.append(whole)

    def start(self, service: ServicePlan) -> None:
        with self._lock:
            self.started.append(service.name)
        self.on_start.get(service.name, lambda: None)()

    def stop(self, service: ServicePlan) -> None:
        self.stopped.append(service.name)

    def discard(self, service: ServicePlan) -> None:
        self.discarded.append(service.name)

    def state(self, service: str) -> ServiceState:
        return self.seen.get(service, ServiceState(service in self.started, health="healthy"))

    def states(self) -> Mapping[str, ServiceState]:
        return {name: self.state(name) for name in {*self.started, *self.seen}}

    def probe_ports(self, service: ServicePlan) -> Mapping[str, int]:
        return service.outside_ports

    def logs(self, service: str, tail: int | None = None) -> Iterator[bytes]:
        yield self.logged.get(service, "").encode()

    def follow(self, services: Sequence[str], tail: int | None) -> Iterator[tuple[str, bytes]]:
        yield from ((name, self.logged[name].encode()) for name in services if name in self.logged)

    def interactive(self, service: str, argv: Sequence[str], env: Mapping[str, str], user: str | None) -> TerminalCommand:
        return TerminalCommand(argv, env)

    def renew(self, expires: str | None, labels: Mapping[str, str]) -> None: ...

    def execute(self, service: str, what: Execution) -> CommandResult:
        content = b"".join(what.stdin)
        with self._lock:
            self.executed.append((service, tuple(what.argv)))
            self.fed.append(content)
            self.environments.append(what.env)
        return self.answers.get(tuple(what.argv), CommandResult(0, ""))

    def listening(self, service: str) -> Sequence[tuple[str, int]]:
        return self.listens[service]

    def prepare_command(self, service: ServicePlan, argv: Sequence[str]) -> None:
        self.expected.append((service.name, tuple(argv)))

    def run_command(self, service: ServicePlan, argv: Sequence[str], attached: Attached | None = None) -> CommandResult:
        self.ran_once.append((service.name, tuple(argv)))
        return self.answers.get(tuple(argv), CommandResult(0, ""))

    def data_id(self, service: ServicePlan) -> str:
        return self.data_ids.get(service.name, "first")

    def exit_reason(self, service: ServicePlan) -> EnvctlError | None:
        return self.known.get(service.name)

    def finish(self, whole: Collection[str]) -> None:
        self.finished.append(whole)

    @contextmanager
    def exit_events(self, on_exit: Callable[[str, int], None], on_loss: Callable[[BaseException], None]) -> Iterator[None]:
        self.on_exit, self.on_loss = on_exit, on_loss
        yield

    def exits(self, service: str, status: int, **changes: Any) -> None:
        """Let the service end now, and report the exit as an engine does."""
        self.seen[service] = ServiceState(False, status, **changes)
        self.on_exit(service, status)
