from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from envctl.lifecycle.events import Event, Events, Phase
from envctl.lifecycle.service_states import REACHED, STATE, Abandoned, Row, ServiceStates
from tests.lifecycle.line import Told
from tests.processes import until


def states(*services: str) -> ServiceStates:
    return ServiceStates(services or ("a", "b"), Events())


def in_a_thread(wait: Callable[[], object], then: Callable[[], None]) -> object:
    """Start *wait* in a thread, call *then*, and return the result of *wait*, or the Abandoned error that it raised."""
    found: list[object] = []

    def work() -> None:
        try:
            found.append(wait())
        except Abandoned as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    then()
    thread.join(5)
    (answer,) = found
    return answer


@pytest.mark.parametrize(
    ("condition", "reached"),
    [
        ("started", ["starting", "ready", "seeded", "done"]),
        ("ready", ["ready", "seeded", "done"]),
        ("seeded", ["seeded", "done"]),
        ("done", ["done"]),
    ],
)
def test_a_condition_holds_in_these_states(condition: str, reached: list[str]) -> None:
    assert [state for state in dict.fromkeys(STATE.values()) if state in REACHED[condition]] == reached


def test_every_phase_is_some_state() -> None:
    assert set(STATE) == set(Phase)


def test_a_wait_ends_when_the_conditions_hold() -> None:
    found = states()
    found.set("a", Phase.READY)
    waited = in_a_thread(lambda: found.wait_for({"a": "ready", "b": "started"}), lambda: found.set("b", Phase.STARTING))
    assert waited is None


def test_listeners_know_before_whoever_waits() -> None:
    """Otherwise the last line of a command could be printed before its last event."""
    told = Told()
    found = ServiceStates(["a"], Events([told]))
    seen: list[str] = []
    told.event = lambda event: seen.append(found.rows["a"].state)  # type: ignore[method-assign]
    found.set("a", Phase.SEEDED)
    assert (seen, found.rows["a"].state) == (["pending"], "seeded")


def test_a_wait_ends_when_something_fails() -> None:
    found = states()
    assert isinstance(in_a_thread(lambda: found.wait_for({"a": "ready"}), lambda: found.fail(ValueError())), Abandoned)
    with pytest.raises(Abandoned):
        found.go_on()


def test_nobody_waits_for_what_runs_elsewhere() -> None:
    states().wait_for({"elsewhere": "ready"})
    states().wait_for({})


def test_all_are_waited_for_until_the_deadline() -> None:
    found = states()
    found.set("a", Phase.SEEDED)
    assert not found.wait_all({"a": "seeded", "b": "seeded"}, time.monotonic() + 0.01)
    found.set("b", Phase.SEEDED)
    assert found.wait_all({"a": "seeded", "b": "seeded"}, time.monotonic() - 1)


def test_all_are_not_waited_for_after_a_failure() -> None:
    found = states()
    assert in_a_thread(lambda: found.wait_all({"a": "seeded"}, time.monotonic() + 3600), lambda: found.fail(ValueError())) is False


def test_the_first_failure_counts() -> None:
    found, first = states(), ValueError("first")
    found.fail(first, "a")
    found.fail(ValueError("second"), "b")
    assert found.failed
    assert found.failure is first
    assert (found.rows["a"], found.rows["b"]) == (Row(Phase.FAILED, "first"), Row())


def test_changes_are_told() -> None:
    told = Told()
    found = ServiceStates(["a"], Events([told]))
    found.set("a", Phase.STARTING)
    found.set("a", Phase.SEEDING, "sql x")
    found.fail(ValueError("no such table\nmore"), "a")
    assert [(event.service, event.phase, event.detail) for event in told.events] == [
        ("a", Phase.STARTING, ""), ("a", Phase.SEEDING, "sql x"), ("a", Phase.FAILED, "no such table"),
    ]  # fmt: skip


def test_after_a_failure_nothing_but_failures_counts() -> None:
    told = Told()
    found = ServiceStates(["a", "b"], Events([told]))
    found.fail(ValueError("x"), "a")
    found.set("a", Phase.READY)
    found.set("b", Phase.SEEDED)
    assert (found.rows["a"], found.rows["b"]) == (Row(Phase.FAILED, "x"), Row())
    assert [event.phase for event in told.events] == [Phase.FAILED]


def test_a_failure_is_told_after_what_is_being_told() -> None:
    """Otherwise a service would be reported as ready after the failure that ended the bring-up."""
    told = Told()
    found = ServiceStates(["x", "y"], Events([told]))
    failing = threading.Thread(target=lambda: found.fail(ValueError("no"), "y"))
    remember = told.event

    def fails_meanwhile(event: Event) -> None:
        if event.service == "x":
            failing.start()
            assert until(lambda: found.failed), "that it has failed is known at once"
            failing.join(0.05)
        remember(event)

    told.event = fails_meanwhile  # type: ignore[method-assign]
    found.set("x", Phase.READY)
    failing.join(5)
    assert [(event.service, event.phase) for event in told.events] == [("x", Phase.READY), ("y", Phase.FAILED)]
    assert (found.rows["x"].state, found.rows["y"].state) == ("ready", "failed")


def test_a_listener_may_meet_a_failure_itself() -> None:
    told = Told()
    found = ServiceStates(["x", "y"], Events([told]))

    def breaks(event: Event) -> None:
        found.fail(OSError("disk full"), "y")
        raise OSError("disk full")

    told.event = breaks  # type: ignore[method-assign]
    thread = threading.Thread(target=lambda: suppressing(lambda: found.set("x", Phase.READY)), daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert str(found.failure) == "disk full"
    assert found.rows["x"].state == "pending"


def suppressing(function: Callable[[], None]) -> None:
    with suppress(OSError):
        function()


@pytest.mark.parametrize("phase", [Phase.READY, Phase.SETTING_UP, Phase.SEEDING, Phase.SEEDED, Phase.DONE])
def test_a_row_knows_when_it_got_ready(phase: Phase) -> None:
    found = states()
    assert found.rows["a"] == Row()
    found.set("a", Phase.WAITING)
    before = found.rows["a"].ready_ms
    assert before is None
    found.set("a", phase)
    took = found.rows["a"].ready_ms
    assert took is not None
    found.began -= 100
    found.set("a", Phase.DONE)
    assert found.rows["a"].ready_ms == took
