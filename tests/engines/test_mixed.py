"""Instances some of whose services are containers, and some processes of this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from envctl.engines import CommandResult, Execution, ServiceState, TerminalCommand, mixed
from envctl.engines.mixed import Beside, Together, open_deployment, running_instance
from envctl.errors import EnvctlError
from envctl.instance.allocation import Allocation
from envctl.keeper_client import keepers
from envctl.plan.model import Plan, ServicePlan
from tests.builders import plan_with, port, record_of, service
from tests.processes import held_port

ID = "t-123456"


@dataclass
class Side:
    """One of the two places: what was asked of it, and in which order among both."""

    name: str
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    plan: Plan | None = None

    def states(self) -> Mapping[str, ServiceState]:
        return {self.name: ServiceState(True)}

    def state(self, service: str) -> ServiceState:
        return ServiceState(True, id=self.name)

    def execute(self, service: str, what: Execution) -> CommandResult:
        return CommandResult(0, self.name)

    def logs(self, service: str, tail: int | None = None) -> str:
        return f"{self.name} {service} {tail}"

    def follow(self, services: Sequence[str], tail: int | None) -> Iterator[tuple[str, bytes]]:
        return iter([(each, f"{self.name} {tail}".encode()) for each in services])

    def interactive(self, service: str, argv: Sequence[str], env: Mapping[str, str], user: str | None) -> TerminalCommand:
        return TerminalCommand([self.name, *argv], env)

    def renew(self, expires: str | None, marks: Mapping[str, str]) -> None:
        self.calls.append((self.name, "renew", expires))

    def run_command(self, service: ServicePlan, argv: Sequence[str]) -> CommandResult:
        return CommandResult(0, f"{self.name} once")

    def data_id(self, service: ServicePlan) -> str:
        return self.name

    def exit_reason(self, service: ServicePlan) -> EnvctlError | None:
        return EnvctlError(self.name)

    def create(self, *, whole: bool = True) -> None:
        self.calls.append((self.name, "create", whole))

    @contextmanager
    def exit_events(self, died: Callable[[str, int], None]) -> Iterator[None]:
        self.calls.append((self.name, "listens"))
        died(self.name, 1)
        yield
        self.calls.append((self.name, "ends"))

    def __getattr__(self, verb: str) -> Callable[..., None]:
        if verb not in ("prepare", "start", "stop", "discard", "prepare_command", "finish"):
            raise AttributeError(verb)
        return lambda *words: self.calls.append((self.name, verb, *(each.name for each in words if isinstance(each, ServicePlan))))

    def __hash__(self) -> int:
        return id(self)


@dataclass
class FakeEngine:
    """An engine whose project is one side."""

    name: str
    side: Side

    def deployment(self, plan: Plan, folder: Path) -> Side:
        self.side.plan = plan
        return self.side

    def attach(self, id: str) -> Side:
        return self.side


DB = service("db")
API = service("api", ports=(port("http", 8000, 20000), port("admin", 8001, 20001)))
Calls = list[tuple[Any, ...]]


@pytest.fixture
def calls() -> Calls:
    return []


@pytest.fixture
def sides(calls: Calls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Side, Side]:
    """Docker's and this machine's, which any name of an engine opens."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    found = Side("docker", calls), Side("local", calls)
    engines = {side.name: FakeEngine(side.name, side) for side in found}
    monkeypatch.setattr(mixed, "open_engine", lambda name, *place: engines[name])
    return found


def plan(*local: str) -> Plan:
    made = plan_with(DB, API)
    return replace(made, setting=replace(made.setting, local=frozenset(local), allocation=Allocation(subnet="10.0.0.0/27")))


@pytest.fixture
def together(sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch) -> Together:
    monkeypatch.setattr(mixed, "_relay", lambda *words: sides[0].calls.append(("relay", *words)))
    project = open_deployment(FakeEngine("docker", sides[0]), plan("api"), Path("/"))  # type: ignore[arg-type]
    assert isinstance(project, Together)
    return project


# Who has what


def test_each_side_has_its_services(together: Together, sides: tuple[Side, Side]) -> None:
    there, here = sides
    assert there.plan is not None
    assert here.plan is not None
    assert (list(there.plan.services), list(here.plan.services)) == (["db"], ["api"])


def test_without_local_services_the_engine_has_all(sides: tuple[Side, Side]) -> None:
    assert open_deployment(FakeEngine("docker", sides[0]), plan(), Path("/")) is sides[0]  # type: ignore[arg-type,comparison-overlap]


def test_services_of_part_of_a_plan_alone(sides: tuple[Side, Side]) -> None:
    part = replace(plan("api"), services={"db": DB})
    assert open_deployment(FakeEngine("docker", sides[0]), part, Path("/")) is sides[0]  # type: ignore[arg-type,comparison-overlap]


def test_what_was_a_process_before_still_has_to_go(sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed.LocalInstance, "specs", lambda self: {"api": None})
    project = open_deployment(FakeEngine("docker", sides[0]), plan(), Path("/"))  # type: ignore[arg-type]
    assert isinstance(project, Together)
    project.create()
    assert sides[1].plan is not None
    assert sides[1].plan.services == {}
    assert sides[0].calls == [("docker", "create", True), ("local", "create", True)]


def test_the_local_engine_has_everything_anyway(sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed.LocalInstance, "specs", lambda self: {"api": None})
    assert open_deployment(FakeEngine("local", sides[1]), plan(), Path("/")) is sides[1]  # type: ignore[arg-type,comparison-overlap]


@pytest.mark.parametrize(("local", "kind"), [([], Side), (["api"], Beside)])
def test_an_instance_that_is_there(sides: tuple[Side, Side], local: list[str], kind: type) -> None:
    assert type(running_instance(record_of(local=local))) is kind


# Looking


def test_questions_go_to_the_side_of_the_service(sides: tuple[Side, Side]) -> None:
    both = Beside(*sides, frozenset(["api"]))
    for name, side in (("db", "docker"), ("api", "local")):
        assert both.state(name).id == side
        assert both.execute(name, Execution(["x"])).output == side
        assert both.logs(name, 3) == f"{side} {name} 3"
        assert both.interactive(name, ["sh"], {"A": "b"}, None) == TerminalCommand([side, "sh"], {"A": "b"})
    assert set(both.states()) == {"docker", "local"}


def test_both_are_followed(sides: tuple[Side, Side]) -> None:
    both = Beside(*sides, frozenset(["api"]))
    assert sorted(both.follow(["db", "api"], 3)) == [("api", b"local 3"), ("db", b"docker 3")]
    assert list(both.follow(["db"], None)) == [("db", b"docker None")]
    assert list(both.follow(["api"], None)) == [("api", b"local None")]


def test_the_marker_is_the_engines(sides: tuple[Side, Side], calls: Calls) -> None:
    Beside(*sides, frozenset(["api"])).renew("2999", {})
    assert calls == [("docker", "renew", "2999")]


# Bringing up


def test_containers_give_way_before_processes_start(together: Together, calls: Calls) -> None:
    """A container that is a process from now on lets go of its port."""
    together.create()
    assert calls == [("docker", "create", True), ("local", "create", True)]


def test_a_part_of_both(together: Together, calls: Calls) -> None:
    together.create(whole=False)
    assert calls == [("docker", "create", False), ("local", "create", False)]


@pytest.mark.parametrize("verb", ["stop", "discard"])
def test_orders_go_to_the_side_of_the_service(together: Together, calls: Calls, verb: str) -> None:
    for each in (API, DB):
        getattr(together, verb)(each)
    assert calls == [("local", verb, "api"), ("docker", verb, "db")]


def test_containers_reach_a_process_that_has_started(together: Together, calls: Calls) -> None:
    together.start(DB)
    together.start(API)
    assert calls[:2] == [("docker", "start", "db"), ("local", "start", "api")]
    assert calls[2:] == [("relay", ID, "10.0.0.1", 20000), ("relay", ID, "10.0.0.1", 20001)]


def test_elsewhere_than_on_linux_there_is_no_relay(together: Together, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed, "RELAYED", False)
    together.start(API)
    assert calls == [("local", "start", "api")]


def test_so_do_the_other_questions(together: Together, calls: Calls) -> None:
    for each, side in ((API, "local"), (DB, "docker")):
        together.prepare_command(each, ["x"])
        assert together.run_command(each, ["x"]).output == f"{side} once"
        assert together.data_id(each) == side
        assert str(together.exit_reason(each)) == side
    assert calls == [("local", "prepare_command", "api"), ("docker", "prepare_command", "db")]


def test_both_are_prepared_and_finished(together: Together, calls: Calls) -> None:
    together.prepare(lambda service, text: None)
    together.finish()
    assert sorted(calls) == [("docker", "finish"), ("docker", "prepare"), ("local", "finish"), ("local", "prepare")]


def test_deaths_on_both_sides_are_told(together: Together, calls: Calls) -> None:
    died: list[tuple[str, int]] = []
    with together.exit_events(lambda *words: died.append(words)):
        assert died == [("docker", 1), ("local", 1)]
    assert [call[1] for call in calls] == ["listens", "listens", "ends", "ends"]


# The way from containers to processes


@contextmanager
def answering(status: int, answer: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A keeper that always gives the same answer; what it was asked."""
    asked: list[Any] = []

    def ask(keeper: keepers.Keeper, method: str, path: str, body: Any = None, timeout: float = 0) -> tuple[int, Any]:
        asked.append((method, path, body))
        return status, answer

    monkeypatch.setattr(keepers, "find", lambda _: keepers.Keeper(1, "x", 1))
    monkeypatch.setattr(keepers.Keeper, "ask", ask)
    yield asked


def test_the_keeper_listens_at_the_bridges_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(201, {"port": 20000}, monkeypatch) as asked:
        mixed._relay(ID, "10.0.0.1", 20000)
    assert asked == [("POST", "/v1/relays", {"listen": ["10.0.0.1", 20000], "to": ["127.0.0.1", 20000]})]


def test_the_relay_of_an_earlier_up_is_good_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(422, {"error": "in use"}, monkeypatch), held_port() as port:
        mixed._relay(ID, "127.0.0.1", port)


def test_nobody_can_listen_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    with answering(422, {"error": "cannot assign"}, monkeypatch), pytest.raises(EnvctlError, match="containers cannot reach this machine"):
        mixed._relay(ID, "127.0.0.1", free)


@pytest.mark.parametrize(("keeper", "gateway", "lacking"), [(None, "10.0.0.1", "keeper"), (keepers.Keeper(1, "x", 1), "", "network")])
def test_there_is_no_way(monkeypatch: pytest.MonkeyPatch, keeper: keepers.Keeper | None, gateway: str, lacking: str) -> None:
    monkeypatch.setattr(keepers, "find", lambda _: keeper)
    with pytest.raises(EnvctlError, match=f"containers cannot reach port 20000 of this machine: there is no {lacking}"):
        mixed._relay(ID, gateway, 20000)
