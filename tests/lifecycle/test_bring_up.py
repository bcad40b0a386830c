"""Services start in parallel, in the order of their needs, until all are up, one fails, or the time is over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from envctl.engines import CommandResult, Execution, ServiceState
from envctl.errors import OutOfTime
from envctl.instance.record import ServiceRecord
from envctl.instance.store import RecordGone
from envctl.lifecycle import bring_up
from envctl.lifecycle.events import Event, Phase
from envctl.lifecycle.stages import STAGES
from envctl.plan.model import Check
from tests.builders import FakeDeployment, record_of, service, step_of
from tests.lifecycle.line import HEALTH, SERVER, Line, MakeLine, healthy


def test_services_come_up_and_are_seeded(line: MakeLine) -> None:
    found = line(service("db", steps=(step_of("db", **SERVER),), **HEALTH), service("mail")).run()
    assert found.states == {"db": "seeded", "mail": "seeded"}
    assert found.path == {
        "db": [Phase.STARTING, Phase.WAITING, Phase.READY, Phase.SEEDING, Phase.SEEDED],
        "mail": [Phase.STARTING, Phase.WAITING, Phase.SEEDED],
    }
    assert found.deployment.executed == [("db", ("seed", "0"))]


def test_nothing_comes_up_at_once(line: MakeLine) -> None:
    assert line().run().told == []


def test_starts_stand_in_the_order_of_needs(line: MakeLine) -> None:
    chain = [
        service("a"),
        service("b", needs={"a": "seeded"}),
        service("c", needs={"b": "ready", "a": "started"}),
        service("d", needs={"c": "seeded"}),
    ]
    assert line(*chain).run().deployment.started == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("condition", "seen"),
    [("started", "starting"), ("ready", "ready"), ("seeded", "seeded")],
)
def test_a_need_is_met_as_soon_as_its_state_is_reached(line: MakeLine, condition: str, seen: str) -> None:
    """`b` starts as soon as `a` has the required state: `a` does not go further before `b` has started."""
    deployment, b_started = FakeDeployment(), threading.Event()
    steps = (step_of("a", **SERVER),)
    found = line(service("a", steps=steps, **HEALTH), service("b", needs={"a": condition}), deployment=deployment)
    states: list[str] = []

    def b_starts() -> None:
        states.append(found.state_of("a"))
        b_started.set()
        healthy(deployment, "a")()

    def seeding(*words: object) -> CommandResult:
        b_started.wait(5 if condition == "ready" else 0)
        return CommandResult(0, "")

    deployment.on_start["b"] = b_starts
    deployment.execute = seeding  # type: ignore[method-assign, assignment]
    deployment.seen["a"] = ServiceState(True, health="starting" if condition == "started" else "healthy")
    found.run()
    assert states == [seen]


def test_what_runs_elsewhere_is_not_waited_for(line: MakeLine) -> None:
    assert line(service("a", needs={"elsewhere": "ready"})).run().states == {"a": "seeded"}


# Timeouts


def test_the_deadline_names_who_is_late(line: MakeLine, slow: FakeDeployment) -> None:
    found = line(service("mail"), service("db", **HEALTH), service("page", needs={"db": "ready"}), deployment=slow)
    error = found.fails(OutOfTime, seconds=0.15)
    assert error.message == "out of time: db is still starting"
    assert error.exit_code == 124
    assert error.evidence.step == "starting"
    assert error.evidence.logs == ("still", "starting")
    assert "its health check says starting" in error.evidence.history[0]
    assert found.states["mail"] == "seeded"


def test_a_need_that_is_never_met(line: MakeLine, slow: FakeDeployment) -> None:
    """The waiting threads end when the bring-up fails."""
    found = line(service("db", **HEALTH), service("page", needs={"db": "seeded"}), deployment=slow)
    found.fails(OutOfTime, seconds=0.1)
    assert slow.started == ["db"]
    assert not found.left


# Many services


def test_a_hundred_services(line: MakeLine) -> None:
    services = [service(f"s{number}", needs={f"s{number - 1}": "seeded"} if number % 20 else {}) for number in range(100)]
    found = line(*services).run()
    assert set(found.states.values()) == {"seeded"}
    assert all(found.deployment.started.index(f"s{n - 1}") < found.deployment.started.index(f"s{n}") for n in range(100) if n % 20)


# The record, and the labels of the engine


def test_how_far_services_have_come_is_recorded(line: MakeLine) -> None:
    kept = record_of(services={name: ServiceRecord("service") for name in ("db", "other")})
    found = line(service("db"), record=kept).run()
    assert (found.record.services["db"].state, found.record.services["other"].state) == ("seeded", "pending")
    assert found.record.services["db"].ready_ms is not None
    assert found.deployment.finished == [frozenset(["db"])]


def test_how_far_they_have_come_is_recorded_of_a_failure_too(line: MakeLine, slow: FakeDeployment) -> None:
    kept = record_of(services={name: ServiceRecord("service") for name in ("db", "mail")})
    found = line(service("mail"), service("db", needs={"mail": "seeded"}, **HEALTH), deployment=slow, record=kept)
    found.fails(OutOfTime, seconds=0.3)
    assert {name: each.state for name, each in found.record.services.items()} == {"mail": "seeded", "db": "starting"}
    assert slow.finished == []


def test_some_services_come_up_without_the_others(line: MakeLine) -> None:
    """The definition of the other services may have changed, so no selected service waits for them."""
    found = line(service("db"), service("page", needs={"db": "seeded"}), service("mail")).run(services=["page"])
    assert found.deployment.started == ["page"]
    assert found.states == {"db": "pending", "page": "seeded", "mail": "pending"}


# Failures end the bring-up at once; the deadline of an hour shows that no test waits for it


class Broken(Exception):
    """An exception that no code handles."""


def test_a_stage_that_breaks(line: MakeLine, slow: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(work: object, plan: object) -> None:
        if getattr(plan, "name", "") == "page":
            raise Broken("a stage")

    monkeypatch.setattr(bring_up, "STAGES", (*STAGES[:2], breaks, *STAGES[2:]))
    found = line(service("db", **HEALTH), service("page"), deployment=slow)
    with pytest.raises(Broken, match="a stage"):
        found.run(3600)
    assert (found.states["page"], found.left) == ("failed", [])


@pytest.mark.parametrize("verb", ["start", "state", "data_id", "probe_ports", "logs"])
def test_a_verb_of_an_engine_that_breaks(line: MakeLine, slow: FakeDeployment, verb: str) -> None:
    def breaks(*words: object) -> Any:
        if words and getattr(words[0], "name", words[0]) == "page":
            raise Broken(verb)
        return real(*words)

    real = getattr(slow, verb)
    setattr(slow, verb, breaks)
    check = Check("log", {"log": "x"}) if verb == "logs" else Check("health")
    page = service("page", checks=(check,), setup=((("make", "it"), {}, ""),) if verb == "data_id" else ())
    with pytest.raises(Broken, match=verb):
        line(service("db", **HEALTH), page, deployment=slow).run(3600)


def test_an_engine_that_cannot_tell_of_exits_any_more(line: MakeLine, slow: FakeDeployment) -> None:
    slow.on_start["db"] = lambda: slow.on_loss(Broken("the stream of events"))
    found = line(service("db", **HEALTH), deployment=slow)
    with pytest.raises(Broken, match="the stream of events"):
        found.run(3600)
    assert found.left == []


def test_an_engine_whose_exit_events_cannot_be_had(line: MakeLine) -> None:
    deployment = FakeDeployment()
    deployment.exit_events = lambda *words: (_ for _ in ()).throw(Broken("no stream"))  # type: ignore[method-assign]
    with pytest.raises(Broken, match="no stream"):
        line(service("db"), deployment=deployment).run(3600)
    assert deployment.started == []


def test_news_of_an_exit_that_nobody_can_understand(line: MakeLine, slow: FakeDeployment) -> None:
    """The error must reach the caller; it must not only end the thread that reports the exit."""

    def ends() -> None:
        slow.exit_reason = lambda plan: (_ for _ in ()).throw(Broken("no reason"))  # type: ignore[method-assign, assignment]
        slow.exits("mail", 1)

    slow.on_start["db"] = lambda: threading.Thread(target=ends).start()
    with pytest.raises(Broken, match="no reason"):
        line(service("mail"), service("db", needs={"mail": "seeded"}, **HEALTH), deployment=slow).run(3600)


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.WAITING, Phase.SEEDED])
def test_a_listener_that_raises(line: MakeLine, slow: FakeDeployment, phase: Phase) -> None:
    found = line(service("page"), service("db", **HEALTH), deployment=slow)

    def event(event: Event) -> None:
        if event.service == "page" and event.phase is phase:
            raise Broken("a listener")

    found.listener.event = event  # type: ignore[method-assign]
    with pytest.raises(Broken, match="a listener"):
        found.run(3600)


def test_a_listener_that_raises_at_a_failure_does_not_hide_it(line: MakeLine) -> None:
    deployment = FakeDeployment()
    deployment.on_start["db"] = lambda: deployment.exits("db", 1)
    found = line(service("db", **HEALTH), deployment=deployment)

    def event(event: Event) -> None:
        if event.phase is Phase.FAILED:
            raise Broken("a listener")

    found.listener.event = event  # type: ignore[method-assign]
    assert found.fails(seconds=3600).message == "db ended with 1"


# Threads that run after a failure


@pytest.fixture
def late(line: MakeLine) -> Iterator[tuple[Line, threading.Event]]:
    """Yield a failed bring-up whose seed step still runs, and an event that ends the seed step."""
    deployment, seeding, may_end = FakeDeployment(), threading.Event(), threading.Event()

    def execute(name: str, what: Execution) -> CommandResult:
        seeding.set()
        may_end.wait(30)
        return CommandResult(0, "")

    deployment.execute = execute  # type: ignore[method-assign, assignment]

    def ends() -> None:
        seeding.wait(30)
        deployment.exits("mail", 1)

    deployment.on_start["mail"] = ends
    found = line(service("db", steps=(step_of("db", **SERVER),)), service("mail", **HEALTH), deployment=deployment)
    found.patience = 0.0
    found.fails()
    yield found, may_end
    may_end.set()
    for thread in found.left:
        thread.join(10)


def test_a_seed_that_ends_after_the_command_is_not_recorded(late: tuple[Line, threading.Event]) -> None:
    """By then another command may hold the instance's lock and work on the instance."""
    found, may_end = late
    found.started.close()
    before, told = found.record, found.told
    assert found.left, "it still seeds"
    may_end.set()
    for thread in found.left:
        thread.join(10)
    assert found.left == []
    assert found.record == before
    assert "db" not in found.record.data or found.record.data["db"].steps == ()
    assert found.told == told


def test_a_command_that_is_over_writes_nothing(line: MakeLine) -> None:
    found = line(service("db"))
    found.started.close()
    with pytest.raises(RecordGone, match="has ended"):
        found.started.update(lambda record: replace(record, error="late"))
    assert found.record.error == ""
    assert found.listener.ended == 1


@pytest.mark.parametrize("again", [False, True], ids=["removed", "and made anew"])
def test_a_thread_that_outlives_a_failure_writes_no_record_back(late: tuple[Line, threading.Event], again: bool) -> None:
    found, may_end = late
    record, store = found.record, found.session.store
    store.remove(record.id)
    new = store.create(replace(record, secret="11", data={})) if again else None
    assert found.left, "it still seeds"
    may_end.set()
    for thread in found.left:
        thread.join(10)
    assert store.load(record.id) == new
    assert found.left == []
