from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from envctl.engines import CommandResult, ServiceState
from envctl.errors import EnvctlError, OutOfTime, ServiceFailed
from envctl.instance import Record
from envctl.lifecycle import bring_up
from envctl.lifecycle.bring_up import BringUp
from envctl.lifecycle.service_states import ServiceStates
from envctl.plan.model import Check, Limits, ServicePlan
from envctl.readiness import LoginRefused, Target, wait
from envctl.seeding import Seeder
from tests.builders import FakeDeployment, job, plan_with, port, record_of, service, step_of

SERVER = {"step": {"command": "x", "in": "server"}}


class Line:
    """One bring-up on a fake project, and all that was told of it."""

    def __init__(self, *services: ServicePlan, project: FakeDeployment | None = None, record: Record | None = None) -> None:
        self.project = project or FakeDeployment()
        self.record = record or record_of()
        self.told: list[tuple[str, str, str]] = []
        self.saved = 0
        plan = plan_with(*services)
        board = ServiceStates.of(plan.services, lambda name, row: self.told.append((name, row.state, row.detail)))
        seeder = Seeder(plan, self.project, {}, Path("/"))
        self.work = BringUp(plan, self.project, self.record, board, seeder, save=self._save)
        self.threads_before = set(threading.enumerate())

    def _save(self) -> None:
        self.saved += 1

    def run(self, seconds: float = 20) -> Line:
        try:
            self.work.run(time.monotonic() + seconds)
        finally:
            for thread in set(threading.enumerate()) - self.threads_before:
                thread.join(5)
        return self

    def fails(self, kind: type[ServiceFailed] = ServiceFailed, seconds: float = 20) -> Any:
        with pytest.raises(kind) as caught:
            self.run(seconds)
        assert type(caught.value) is kind
        return caught.value

    @property
    def states(self) -> dict[str, str]:
        return {name: row.state for name, row in self.work.board.rows.items()}

    @property
    def path(self) -> dict[str, list[str]]:
        """The states that each service went through."""
        found: dict[str, list[str]] = {}
        for name, state, _ in self.told:
            if found.setdefault(name, [""])[-1] != state:
                found[name].append(state)
        return {name: states[1:] for name, states in found.items()}


def healthy(project: FakeDeployment, name: str, **changes: Any) -> Callable[[], None]:
    """What makes a service ready that has the check `health`."""
    return lambda: project.seen.__setitem__(name, ServiceState(True, health="healthy", **changes))


HEALTH = {"checks": (Check("health"),)}


# The line


def test_services_come_up_and_are_seeded() -> None:
    line = Line(service("db", steps=(step_of("db", **SERVER),), **HEALTH), service("mail")).run()
    assert line.states == {"db": "seeded", "mail": "seeded"}
    assert line.path == {"db": ["starting", "ready", "seeded"], "mail": ["starting", "seeded"]}
    assert line.project.executed == [("db", ("seed", "0"))]


def test_nothing_comes_up_at_once() -> None:
    assert Line().run().told == []


def test_starts_stand_in_the_order_of_needs() -> None:
    chain = [
        service("a"),
        service("b", needs={"a": "seeded"}),
        service("c", needs={"b": "ready", "a": "started"}),
        service("d", needs={"c": "seeded"}),
    ]
    assert Line(*chain).run().project.started == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("condition", "seen"),
    [("started", "starting"), ("ready", "ready"), ("seeded", "seeded")],
)
def test_a_need_is_met_as_soon_as_its_state_is_reached(condition: str, seen: str) -> None:
    """`b` starts while `a` is no further than it must be: `a` goes on only when `b` has started."""
    project, b_started = FakeDeployment(), threading.Event()
    steps = (step_of("a", **SERVER),)
    line = Line(service("a", steps=steps, **HEALTH), service("b", needs={"a": condition}), project=project)
    states: list[str] = []

    def b_starts() -> None:
        states.append(line.states["a"])
        b_started.set()
        healthy(project, "a")()

    def seeding(*words: object) -> CommandResult:
        b_started.wait(5 if condition == "ready" else 0)
        return CommandResult(0, "")

    project.on_start["b"] = b_starts
    project.execute = seeding  # type: ignore[method-assign]
    project.seen["a"] = ServiceState(True, health="starting" if condition == "started" else "healthy")
    line.run()
    assert states == [seen]


def test_what_runs_elsewhere_is_not_waited_for() -> None:
    assert Line(service("a", needs={"elsewhere": "ready"})).run().states == {"a": "seeded"}


def test_a_service_is_probed_where_the_tests_reach_it() -> None:
    ports = (port("main", 80, 20000), port("admin", 81, 20001))
    found = service("a", ports=ports, outside={"host": "h", "port": 20000, "url": "x"})
    target = Line(found).work._target
    asked = [target(found, options, 0).port for options in ({"port": "admin", "path": "/"}, {"port": 81}, {})]
    assert asked == [20001, 20001, 20000]
    assert target(found, {"port": "admin", "path": "/"}, 0).options == {"path": "/"}
    assert target(found, {}, 0).host == "h"
    assert target(found, {}, 0).ports == {"main": 20000, "admin": 20001}
    assert target(found, {}, 0).properties == {"host": "h", "port": 20000, "url": "x"}


def test_every_replica_is_probed_at_its_own_port() -> None:
    found = service("a", ports=(port("main", 80, 20000), port("admin", 81, 20010)), outside={"host": "h", "port": 20000}, replicas=3)
    targets = [Line(found).work._target(found, {}, replica) for replica in range(3)]
    assert [target.port for target in targets] == [20000, 20001, 20002]
    assert targets[2].ports == {"main": 20002, "admin": 20012}


def test_a_probe_can_ask_the_service() -> None:
    project = FakeDeployment(logged={"a": "ready: yes"}, answers={("check",): CommandResult(3, "no")})
    target = Line(service("a"), project=project).work._target(service("a"), {}, 0)
    assert target.run(["check"]) == (3, "no")
    assert target.logs() == "ready: yes"


# Jobs


def finished(status: int) -> ServiceState:
    return ServiceState(False, status)


def test_a_job_is_done_when_it_ends() -> None:
    project = FakeDeployment(seen={"migrate": ServiceState(False, None)})
    project.on_start["migrate"] = lambda: project.seen.__setitem__("migrate", finished(0))
    line = Line(job("migrate"), service("orders", needs={"migrate": "done"}), project=project).run()
    assert line.states == {"migrate": "done", "orders": "seeded"}
    assert line.project.started == ["migrate", "orders"]


def test_a_job_is_not_run_again() -> None:
    line = Line(job("migrate"), project=FakeDeployment(seen={"migrate": finished(0)})).run()
    assert line.project.started == []
    assert line.states == {"migrate": "done"}


def test_a_job_that_failed_before_is_run_again() -> None:
    project = FakeDeployment(seen={"migrate": finished(1)})
    project.on_start["migrate"] = lambda: project.seen.__setitem__("migrate", finished(0))
    assert Line(job("migrate"), project=project).run().project.started == ["migrate"]


def test_a_job_that_fails() -> None:
    project = FakeDeployment(seen={"migrate": ServiceState(False, None)}, logged={"migrate": "one\ntwo"})
    project.on_start["migrate"] = lambda: project.dies("migrate", 3)
    line = Line(job("migrate"), service("orders", needs={"migrate": "done"}), project=project)
    error = line.fails()
    assert error.message == "migrate ended with 3"
    assert (error.evidence.service, error.evidence.step, error.evidence.exit_status) == ("migrate", "run", 3)
    assert error.evidence.logs == ("one", "two")
    assert line.states == {"migrate": "failed", "orders": "pending"}
    assert project.started == ["migrate"]


def test_a_service_of_a_compose_file_that_ends_well_is_done() -> None:
    """The file does not say which of its services are jobs."""
    project = FakeDeployment(seen={"setup": ServiceState(False)})
    project.on_start["setup"] = lambda: project.dies("setup", 0)
    line = Line(service("setup", from_compose=True, **HEALTH), project=project).run()
    assert line.states == {"setup": "done"}


# Death


@pytest.mark.parametrize(
    ("status", "words", "advice"),
    [
        (1, "db ended with 1", "`envctl up ... --keep` leaves it for a look: `envctl logs NAME db`"),
        (137, "db ended with 137 (killed: out of memory, or by somebody)", "give it more memory in `resources:`"),
        (
            127,
            "db ended with 127 (its program was not found in the image)",
            "check `run:` and `command:`, and that the image has the program",
        ),
        (0, "db ended with 0", "`envctl up ... --keep` leaves it for a look: `envctl logs NAME db`"),
    ],
)
def test_a_service_that_dies_while_it_starts(status: int, words: str, advice: str) -> None:
    project = FakeDeployment(logged={"db": "\n".join(f"line {number}" for number in range(50))})
    project.on_start["db"] = lambda: project.dies("db", status)
    error = Line(service("db", resources=Limits(memory=1 << 20), **HEALTH), project=project).fails()
    assert error.message == words
    assert error.exit_code == 1
    assert (error.evidence.step, error.evidence.exit_status, error.evidence.advice) == ("start", status, advice)
    assert error.evidence.logs == tuple(f"line {number}" for number in range(10, 50))
    assert "its health check says nothing yet" in error.evidence.history[0]


def test_a_service_without_a_check_that_ran_before_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bring_up, "SETTLED", 1000.0)
    line = Line(service("worker"), project=FakeDeployment(seen={"worker": ServiceState(True, id="c1")})).run()
    assert line.work.board.rows["worker"].state == "seeded"


def test_a_service_without_a_check_that_dies_at_once() -> None:
    project = FakeDeployment()
    project.on_start["worker"] = lambda: project.dies("worker", 2)
    assert Line(service("worker"), project=project).fails().message == "worker ended with 2"


def test_a_service_that_dies_later_fails_the_rest() -> None:
    project = FakeDeployment(seen={"page": ServiceState(True, health="starting")})
    project.on_start["page"] = lambda: project.dies("db", 1)
    line = Line(service("db"), service("page", needs={"db": "seeded"}, **HEALTH), project=project)
    error = line.fails()
    assert error.message == "db ended with 1"
    assert error.evidence.step == "seeded"


@pytest.mark.parametrize("name", ["stranger", "page"])
def test_a_death_that_matters_to_nobody(name: str) -> None:
    """Of somebody else's container, or of one that its engine starts again."""
    project = FakeDeployment()

    def dies() -> None:
        project.dies(name, 1, restarts=True)
        project.seen["page"] = ServiceState(True, health="healthy")

    project.on_start["page"] = dies
    assert Line(service("page", **HEALTH), project=project).run().states == {"page": "seeded"}


def test_a_start_that_fails() -> None:
    def fails() -> None:
        raise EnvctlError("no such program\nmore")

    line = Line(service("db"), service("page", needs={"db": "ready"}), project=FakeDeployment(on_start={"db": fails}))
    with pytest.raises(EnvctlError, match="no such program"):
        line.run()
    assert line.states == {"db": "failed", "page": "pending"}
    assert line.told[-1] == ("db", "failed", "no such program")


def test_lost_evidence_does_not_hide_a_failure() -> None:
    project = FakeDeployment()
    project.logs = lambda *words: (_ for _ in ()).throw(OSError("gone"))  # type: ignore[method-assign]
    project.on_start["db"] = lambda: project.dies("db", 1)
    assert Line(service("db"), project=project).fails().evidence.logs == ()


# Out of time


@pytest.fixture
def slow() -> Iterator[FakeDeployment]:
    """A project whose `db` never gets healthy while it is looked at."""
    project = FakeDeployment(seen={"db": ServiceState(True, health="starting")}, logged={"db": "still\nstarting"})
    yield project
    healthy(project, "db")()


def test_the_deadline_names_who_is_late(slow: FakeDeployment) -> None:
    line = Line(service("mail"), service("db", **HEALTH), service("page", needs={"db": "ready"}), project=slow)
    error = line.fails(OutOfTime, seconds=0.15)
    assert error.message == "out of time: db is still starting: waiting until it is ready"
    assert error.exit_code == 124
    assert error.evidence.step == "starting"
    assert error.evidence.logs == ("still", "starting")
    assert "its health check says starting" in error.evidence.history[0]
    assert line.states["mail"] == "seeded"


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(target: Target) -> None:
        raise LoginRefused("no such user")

    monkeypatch.setattr(wait, "probe_named", lambda name: probe)
    monkeypatch.setattr(bring_up, "REFUSED", 0.05)


@pytest.mark.parametrize("state", ["changing", "up"])
def test_credentials_that_kept_data_does_not_know(refusing: None, state: str) -> None:
    error = Line(service("db", **HEALTH), record=record_of(state=state)).fails()
    assert error.message == "db does not know the credentials that the definition gives it: health: no such user"
    assert "`envctl reset NAME db`" in error.evidence.advice


def test_a_new_server_may_be_about_to_make_its_users(refusing: None) -> None:
    error = Line(service("db", ready_timeout=0.3, **HEALTH), record=record_of(state="starting")).fails(OutOfTime)
    assert error.message == "db did not get ready within 0.3 s: health: no such user"


def test_a_service_has_a_deadline_of_its_own(slow: FakeDeployment) -> None:
    error = Line(service("db", ready_timeout=0.1, **HEALTH), project=slow).fails(OutOfTime)
    assert error.message == "db did not get ready within 0.1 s: health: its health check says starting"
    assert error.evidence.step == "readiness"
    assert error.evidence.advice.startswith("raise `ready: {timeout: ...}` if it is just slow")


def test_a_need_that_is_never_met(slow: FakeDeployment) -> None:
    """The threads that wait end with the failure."""
    line = Line(service("db", **HEALTH), service("page", needs={"db": "seeded"}), project=slow)
    line.fails(OutOfTime, seconds=0.1)
    assert slow.started == ["db"]
    assert not [thread for thread in set(threading.enumerate()) - line.threads_before if thread.is_alive()]


def test_patience_with_a_port_that_may_never_open() -> None:
    ports = (port("main", 80, 1),)  # nothing listens there
    check = Check("tcp", {"patience": 0.05})
    line = Line(service("x", ports=ports, outside={"host": "127.0.0.1", "port": 1}, checks=(check,), from_compose=True))
    line.project.seen["x"] = ServiceState(True)
    line.run()
    assert line.states == {"x": "seeded"}
    assert ("x", "ready", "it opens no port") in line.told


def test_the_health_check_of_an_image_counts_where_nothing_else_is_said() -> None:
    line = Line(service("x"), service("y", needs={"x": "ready"}))
    line.project.seen["x"] = ServiceState(True, health="starting")
    with pytest.raises(OutOfTime, match="x is still starting"):
        line.run(0.3)
    assert line.states["y"] == "pending"


# Seeds


def steps(count: int) -> tuple[Any, ...]:
    return tuple(step_of("db", number, **SERVER) for number in range(count))


def test_seeds_run_in_order_and_are_recorded() -> None:
    line = Line(service("db", steps=steps(3))).run()
    assert [words for _, words in line.project.executed] == [("seed", "0"), ("seed", "1"), ("seed", "2")]
    assert line.record.seeds == {"db": {"data_id": "first", "steps": ["hash 0", "hash 1", "hash 2"]}}
    assert line.saved == 3


def test_recorded_seeds_are_not_run_again() -> None:
    record = record_of(seeds={"db": {"data_id": "first", "steps": ["hash 0", "hash 1"]}})
    line = Line(service("db", steps=steps(3)), record=record).run()
    assert [words for _, words in line.project.executed] == [("seed", "2")]
    assert record.seeds["db"]["steps"] == ["hash 0", "hash 1", "hash 2"]
    assert Line(service("db", steps=steps(3)), record=record).run().project.executed == []


def test_new_data_are_seeded_anew() -> None:
    record = record_of(seeds={"db": {"data_id": "first", "set_up": True, "steps": ["hash 0"]}})
    line = Line(service("db", steps=steps(1)), record=record, project=FakeDeployment(data_ids={"db": "second"})).run()
    assert len(line.project.executed) == 1
    assert record.seeds == {"db": {"data_id": "second", "steps": ["hash 0"]}}


def test_a_command_in_another_image_is_expected_while_the_server_gets_ready() -> None:
    """What has run, and what runs in the server, is not."""
    given = [step_of("db", number, step={"command": "x", "in": where}) for number, where in enumerate(["orders", "orders", "db"])]
    record = record_of(seeds={"db": {"data_id": "first", "steps": ["hash 0"]}})
    project = FakeDeployment(seen={"db": ServiceState(True, health="starting")})
    line = Line(service("orders"), service("db", steps=tuple(given), **HEALTH), project=project, record=record)
    expect = project.prepare_command
    project.prepare_command = lambda *words: (expect(*words), healthy(project, "db")())[0]  # type: ignore[method-assign]
    line.run()
    assert project.expected == [("orders", ("seed", "1"))]
    assert project.ran_once == [("orders", ("seed", "1"))]


def test_what_cannot_be_expected_is_made_when_its_turn_comes() -> None:
    project = FakeDeployment()
    project.prepare_command = lambda *words: (_ for _ in ()).throw(OSError("busy"))  # type: ignore[method-assign]
    step = step_of("db", step={"command": "x", "in": "orders"})
    assert Line(service("orders"), service("db", steps=(step,)), project=project).run().project.ran_once == [("orders", ("seed", "0"))]


def test_a_step_that_fails_is_not_recorded() -> None:
    project = FakeDeployment(answers={("seed", "1"): CommandResult(2, "no such table")})
    line = Line(service("db", steps=steps(3)), service("page", needs={"db": "seeded"}), project=project)
    error = line.fails()
    assert error.message == "db: seed step 2 failed at environment.yaml:7: no such table"
    assert line.record.seeds["db"]["steps"] == ["hash 0"]
    assert line.states == {"db": "failed", "page": "pending"}


def test_a_step_waits_for_what_it_needs() -> None:
    """`cache` starts after `db` is ready, and the step of `db` waits for it."""
    order: list[str] = []
    project = FakeDeployment()
    execute = project.execute
    project.execute = lambda *words: (order.append("seed"), execute(*words))[1]  # type: ignore[method-assign]
    project.on_start["cache"] = lambda: order.append("cache")
    step = step_of("db", needs={"cache": "ready"}, **SERVER)
    Line(service("db", steps=(step,)), service("cache", needs={"db": "ready"}), project=project).run()
    assert order == ["cache", "seed"]


def test_a_step_does_not_run_after_a_failure_elsewhere() -> None:
    project = FakeDeployment()
    project.on_start["cache"] = lambda: project.dies("cache", 1)
    step = step_of("db", needs={"cache": "ready"}, **SERVER)
    line = Line(service("db", steps=(step,)), service("cache", **HEALTH), project=project)
    line.fails()
    assert project.executed == []
    assert line.states["db"] == "ready"


# What a kind sets up


SETUP = ((("make", "topic"), {"A": "b"}, "input"), (("make", "other"), {}, ""))


def test_a_server_is_set_up_once_before_its_seeds() -> None:
    line = Line(service("db", setup=SETUP, steps=steps(1))).run()
    assert [words for _, words in line.project.executed] == [("make", "topic"), ("make", "other"), ("seed", "0")]
    assert line.project.fed[:2] == [b"input", b""]
    assert line.project.environments[0] == {"A": "b"}
    assert line.record.seeds["db"] == {"data_id": "first", "set_up": True, "steps": ["hash 0"]}
    again = Line(service("db", setup=SETUP, steps=steps(1)), record=line.record).run()
    assert again.project.executed == []


def test_a_set_up_that_fails() -> None:
    project = FakeDeployment(answers={("make", "topic"): CommandResult(1, "refused\nby the broker")}, logged={"db": "log of the server"})
    line = Line(service("db", setup=SETUP), project=project)
    error = line.fails()
    assert error.message == "db: make ended with 1"
    assert (error.evidence.step, error.evidence.logs) == ("set-up", ("refused", "by the broker"))
    assert line.record.seeds == {}


# Many at once


def test_a_hundred_services() -> None:
    services = [service(f"s{number}", needs={f"s{number - 1}": "seeded"} if number % 20 else {}) for number in range(100)]
    line = Line(*services).run()
    assert set(line.states.values()) == {"seeded"}
    assert all(line.project.started.index(f"s{n - 1}") < line.project.started.index(f"s{n}") for n in range(100) if n % 20)
