"""Instances that have both containers and local processes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from envctl.engines import CommandResult, Deployment, Engine, Execution, ServiceState, TerminalCommand, mixed
from envctl.engines.local.instance import LocalInstance
from envctl.engines.logs import text
from envctl.engines.mixed import MixedDeployment, MixedInstance, deployment_of, remove_everywhere, running_instance
from envctl.engines.protocol import DeploymentSettings, PublishesRecords
from envctl.errors import EnvctlError
from envctl.instance.allocation import Allocation
from envctl.instance.record import Location
from envctl.plan.model import Plan, ServicePlan
from envctl.process.attached import Attached
from envctl.session import Session
from envctl.session.session import Host
from tests.builders import plan_with, port, service
from tests.processes import held_port

ID = "t-123456"


@dataclass
class Side:
    """A fake of one engine's part of an instance; both parts record their calls in one list, which shows the order."""

    name: str
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    plan: Plan | None = None

    def states(self) -> Mapping[str, ServiceState]:
        return {self.name: ServiceState(True)}

    def state(self, service: str) -> ServiceState:
        return ServiceState(True, id=self.name)

    def execute(self, service: str, what: Execution) -> CommandResult:
        return CommandResult(0, self.name)

    def logs(self, service: str, tail: int | None = None) -> Iterator[bytes]:
        yield f"{self.name} {service} {tail}".encode()

    def follow(self, services: Sequence[str], tail: int | None) -> Iterator[tuple[str, bytes]]:
        return iter([(each, f"{self.name} {tail}".encode()) for each in services])

    def interactive(self, service: str, argv: Sequence[str], env: Mapping[str, str], user: str | None) -> TerminalCommand:
        return TerminalCommand([self.name, *argv], env)

    def renew(self, expires: str | None, marks: Mapping[str, str]) -> None:
        self.calls.append((self.name, "renew", expires))

    def run_command(self, service: ServicePlan, argv: Sequence[str], attached: Attached | None = None) -> CommandResult:
        return CommandResult(0, f"{self.name} once")

    def data_id(self, service: ServicePlan) -> str:
        return self.name

    def staying(self, service: ServicePlan) -> Sequence[str]:
        return [f"{self.name} keeps some"]

    def barred(self, service: ServicePlan) -> EnvctlError | None:
        return EnvctlError(f"{self.name} bars it")

    def exit_reason(self, service: ServicePlan) -> EnvctlError | None:
        return EnvctlError(self.name)

    def create(self, *, whole: bool = True) -> None:
        self.calls.append((self.name, "create", whole))

    @contextmanager
    def exit_events(self, on_exit: Callable[[str, int], None], on_loss: Callable[[BaseException], None]) -> Iterator[None]:
        self.calls.append((self.name, "listens"))
        on_exit(self.name, 1)
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
    """An engine whose deployment is one Side."""

    name: str
    side: Side

    def deployment(self, plan: Plan, settings: DeploymentSettings) -> Side:
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


SETTINGS = DeploymentSettings(Path("/"))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Session({"XDG_STATE_HOME": str(tmp_path)}, tmp_path).host


@pytest.fixture
def sides(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> tuple[Side, Side]:
    """Make open_engine return fake engines for Docker and for local processes; return their two sides."""
    found = Side("docker", calls), Side("local", calls)
    engines = {side.name: FakeEngine(side.name, side) for side in found}
    monkeypatch.setattr(mixed, "open_engine", lambda location, host: engines[location.engine])
    return found


def plan(*local: str) -> Plan:
    made = plan_with(DB, API)
    return replace(made, setting=replace(made.setting, local=frozenset(local), allocation=Allocation(subnet="10.0.0.0/27")))


@pytest.fixture
def together(sides: tuple[Side, Side], host: Host, monkeypatch: pytest.MonkeyPatch) -> MixedDeployment:
    monkeypatch.setattr(MixedDeployment, "_relay", lambda self, port: sides[0].calls.append(("relay", port)))
    project = deployment_of(FakeEngine("docker", sides[0]), host, plan("api"), SETTINGS)  # type: ignore[arg-type]
    assert isinstance(project, MixedDeployment)
    return project


# Which side has which service


def test_each_side_has_its_services(together: MixedDeployment, sides: tuple[Side, Side]) -> None:
    there, here = sides
    assert there.plan is not None
    assert here.plan is not None
    assert (list(there.plan.services), list(here.plan.services)) == (["db"], ["api"])


def test_without_local_services_the_engine_has_all(sides: tuple[Side, Side], host: Host) -> None:
    assert deployment_of(FakeEngine("docker", sides[0]), host, plan(), SETTINGS) is sides[0]  # type: ignore[arg-type,comparison-overlap]


def test_services_of_part_of_a_plan_alone(sides: tuple[Side, Side], host: Host) -> None:
    part = replace(plan("api"), services={"db": DB})
    assert deployment_of(FakeEngine("docker", sides[0]), host, part, SETTINGS) is sides[0]  # type: ignore[arg-type,comparison-overlap]


def test_what_was_a_process_before_still_has_to_go(sides: tuple[Side, Side], host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalInstance, "specs", lambda self: {"api": None})
    project = deployment_of(FakeEngine("docker", sides[0]), host, plan(), SETTINGS)  # type: ignore[arg-type]
    assert isinstance(project, MixedDeployment)
    project.create()
    assert sides[1].plan is not None
    assert sides[1].plan.services == {}
    assert sides[0].calls == [("docker", "create", True), ("local", "create", True)]


def test_the_local_engine_has_everything_anyway(sides: tuple[Side, Side], host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalInstance, "specs", lambda self: {"api": None})
    assert deployment_of(FakeEngine("local", sides[1]), host, plan(), SETTINGS) is sides[1]  # type: ignore[arg-type,comparison-overlap]


@dataclass(eq=False)
class PublishingSide(Side):
    """A side that also publishes the instance's record."""

    def publish(self, document: Mapping[str, Any]) -> None:
        self.calls.append((self.name, "publish", document))


def test_a_record_is_published_where_the_engine_of_the_others_does_so(sides: tuple[Side, Side], host: Host) -> None:
    there = PublishingSide("docker", sides[0].calls)
    project = deployment_of(FakeEngine("docker", there), host, plan("api"), SETTINGS)  # type: ignore[arg-type]
    assert isinstance(project, PublishesRecords)
    project.publish({"id": ID})
    assert there.calls == [("docker", "publish", {"id": ID})]


def test_no_record_is_published_where_that_engine_has_no_place_for_it(together: MixedDeployment) -> None:
    assert not isinstance(together, PublishesRecords)


@pytest.mark.parametrize(("local", "kind"), [([], Side), (["api"], MixedInstance)])
def test_an_instance_that_is_there(sides: tuple[Side, Side], host: Host, local: list[str], kind: type) -> None:
    assert type(running_instance(host, Location("docker"), ID, local)) is kind


# Reading


def test_questions_go_to_the_side_of_the_service(sides: tuple[Side, Side]) -> None:
    both = MixedInstance(*sides, frozenset(["api"]))
    for name, side in (("db", "docker"), ("api", "local")):
        assert both.state(name).id == side
        assert text(both.logs(name, 3)) == f"{side} {name} 3"
        assert both.interactive(name, ["sh"], {"A": "b"}, None) == TerminalCommand([side, "sh"], {"A": "b"})
    assert set(both.states()) == {"docker", "local"}


def test_both_are_followed(sides: tuple[Side, Side]) -> None:
    both = MixedInstance(*sides, frozenset(["api"]))
    assert sorted(both.follow(["db", "api"], 3)) == [("api", b"local 3"), ("db", b"docker 3")]
    assert list(both.follow(["db"], None)) == [("db", b"docker None")]
    assert list(both.follow(["api"], None)) == [("api", b"local None")]


def test_the_marker_is_the_engines(sides: tuple[Side, Side], calls: Calls) -> None:
    MixedInstance(*sides, frozenset(["api"])).renew("2999", {})
    assert calls == [("docker", "renew", "2999")]


# Bringing up


def test_containers_give_way_before_processes_start(together: MixedDeployment, calls: Calls) -> None:
    """A container that becomes a process must first release its port."""
    together.create()
    assert calls == [("docker", "create", True), ("local", "create", True)]


def test_a_part_of_both(together: MixedDeployment, calls: Calls) -> None:
    together.create(whole=False)
    assert calls == [("docker", "create", False), ("local", "create", False)]


@pytest.mark.parametrize("verb", ["stop", "discard"])
def test_orders_go_to_the_side_of_the_service(together: MixedDeployment, calls: Calls, verb: str) -> None:
    for each in (API, DB):
        getattr(together, verb)(each)
    assert calls == [("local", verb, "api"), ("docker", verb, "db")]


def test_containers_reach_a_process_that_is_ready(together: MixedDeployment, calls: Calls) -> None:
    for each in (DB, API):
        together.start(each)
        together.connect(each)
    assert calls == [("docker", "start", "db"), ("local", "start", "api"), ("relay", 20000), ("relay", 20001)]


def test_elsewhere_than_on_linux_there_is_no_relay(together: MixedDeployment, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed, "RELAYED", False)
    together.start(API)
    together.connect(API)
    assert calls == [("local", "start", "api")]


def test_so_do_the_other_questions(together: MixedDeployment, calls: Calls) -> None:
    for each, side in ((API, "local"), (DB, "docker")):
        together.prepare_command(each, ["x"])
        assert together.run_command(each, ["x"]).output == f"{side} once"
        assert together.execute(each.name, Execution(["x"])).output == side
        assert together.data_id(each) == side
        assert together.staying(each) == [f"{side} keeps some"]
        assert str(together.barred(each)) == f"{side} bars it"
        assert str(together.exit_reason(each)) == side
    assert calls == [("local", "prepare_command", "api"), ("docker", "prepare_command", "db")]


def test_both_are_prepared_and_finished(together: MixedDeployment, calls: Calls) -> None:
    together.prepare(lambda service, text: None)
    together.finish(())
    assert sorted(calls) == [("docker", "finish"), ("docker", "prepare"), ("local", "finish"), ("local", "prepare")]


def test_deaths_on_both_sides_are_told(together: MixedDeployment, calls: Calls) -> None:
    died: list[tuple[str, int]] = []
    losses: list[BaseException] = []
    with together.exit_events(lambda *words: died.append(words), losses.append):
        assert died == [("docker", 1), ("local", 1)]
    assert [call[1] for call in calls] == ["listens", "listens", "ends", "ends"]


# Removal


def test_processes_go_before_what_they_use(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    removed: list[tuple[str, bool]] = []

    def engine(name: str) -> Engine:
        def remove(id: str, stop: Mapping[str, float], wait: bool = True) -> list[str]:
            removed.append((name, wait))
            return [f"{name} {id}"]

        return cast(Engine, SimpleNamespace(name=name, remove=remove))

    monkeypatch.setattr(mixed, "open_engine", lambda location, host: engine(location.engine))
    assert remove_everywhere(engine("docker"), host, ID, {}, wait=False) == [f"local {ID}", f"docker {ID}"]
    assert remove_everywhere(engine("local"), host, ID, {}) == [f"local {ID}"]
    assert removed == [("local", True), ("docker", False), ("local", True)]


# The relay from containers to processes


@dataclass
class Keeper:
    """A keeper that always gives the same answer, and records what it is asked."""

    status: int
    answer: Any
    asked: list[Any] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        self.asked.append((method, path, body))
        return self.status, self.answer


def with_keeper(keeper: Keeper | None, gateway: str = "10.0.0.0/27") -> MixedDeployment:
    """Return a deployment whose service `api` is a process, with *keeper* as its instance's keeper."""
    host = cast(Host, SimpleNamespace(keepers=SimpleNamespace(find=lambda _: keeper)))
    both = plan("api")
    both = replace(both, setting=replace(both.setting, allocation=Allocation(subnet=gateway or None)))
    there, here = cast(Deployment, Side("docker")), cast(Deployment, Side("local"))
    return MixedDeployment(there, here, frozenset(["api"]), host, both)


def api(port_number: int) -> ServicePlan:
    return replace(API, ports=(port("http", 8000, port_number),))


def test_the_keeper_listens_at_the_bridges_own_address() -> None:
    keeper = Keeper(201, {"port": 20000})
    with held_port() as port:
        pass
    with_keeper(keeper, "127.0.0.0/30").connect(api(port))
    assert keeper.asked == [("POST", "/v1/relays", {"listen": ["127.0.0.1", port], "to": ["127.0.0.1", port]})]


def test_a_process_that_starts_anew_may_listen_there_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper(200, {})
    monkeypatch.setattr(Side, "state", lambda self, service: ServiceState(False))
    with_keeper(keeper).start(api(20000))
    assert keeper.asked == [("DELETE", "/v1/relays", {"listen": ["10.0.0.1", 20000]})]


def test_a_process_on_all_addresses_or_the_relay_of_an_earlier_up_is_good_enough() -> None:
    keeper = Keeper(422, {"error": "in use"})
    with held_port() as port:
        with_keeper(keeper, "127.0.0.0/30").connect(api(port))
    assert keeper.asked == []


def test_nobody_can_listen_there() -> None:
    with held_port() as free:
        pass
    with pytest.raises(EnvctlError, match="containers cannot reach this machine"):
        with_keeper(Keeper(422, {"error": "cannot assign"}), "127.0.0.0/30").connect(api(free))


@pytest.mark.parametrize(("keeper", "subnet", "lacking"), [(None, "10.0.0.0/27", "keeper"), (Keeper(201, {}), "", "network")])
def test_there_is_no_way(keeper: Keeper | None, subnet: str, lacking: str) -> None:
    with pytest.raises(EnvctlError, match=f"containers cannot reach port 20000 of this machine: there is no {lacking}"):
        with_keeper(keeper, subnet).connect(api(20000))


@pytest.mark.parametrize(
    ("error", "answers"), [(None, True), (ConnectionResetError(), True), (ConnectionRefusedError(), False), (TimeoutError(), False)]
)
def test_a_relay_whose_process_is_not_there_yet_is_a_relay(monkeypatch: pytest.MonkeyPatch, error: OSError | None, answers: bool) -> None:
    """A relay resets connections that it cannot pass on, sometimes before the client has seen its connection accepted."""

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        if error is not None:
            raise error
        return socket.socket()

    monkeypatch.setattr(socket, "create_connection", connect)
    assert mixed._answers("10.0.0.1", 1) is answers
