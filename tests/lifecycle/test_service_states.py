from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from envctl.lifecycle.service_states import REACHED, STATES, Row, ServiceStates


def board(*services: str) -> ServiceStates:
    return ServiceStates.of(services or ("a", "b"), lambda service, row: None)


def in_a_thread(wait: Callable[[], bool], then: Callable[[], None]) -> bool:
    """What *wait* gives in a thread of its own, once *then* was done."""
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(wait()))
    thread.start()
    then()
    thread.join(5)
    (answer,) = found
    return answer


@pytest.mark.parametrize(
    ("condition", "states"),
    [
        ("started", ["starting", "ready", "seeded", "done"]),
        ("ready", ["ready", "seeded", "done"]),
        ("seeded", ["seeded", "done"]),
        ("done", ["done"]),
    ],
)
def test_a_condition_holds_in_these_states(condition: str, states: list[str]) -> None:
    assert [state for state in STATES if state in REACHED[condition]] == states


def test_a_wait_ends_when_the_conditions_hold() -> None:
    found = board()
    found.set("a", "ready")
    assert in_a_thread(lambda: found.wait_for({"a": "ready", "b": "started"}), lambda: found.set("b", "starting"))


def test_a_wait_ends_when_something_fails() -> None:
    found = board()
    assert not in_a_thread(lambda: found.wait_for({"a": "ready"}), lambda: found.fail(ValueError()))


def test_nobody_waits_for_what_runs_elsewhere() -> None:
    assert board().wait_for({"elsewhere": "ready"})
    assert board().wait_for({})


def test_all_are_waited_for_until_the_deadline() -> None:
    found = board()
    found.set("a", "seeded")
    assert not found.wait_all({"a": "seeded", "b": "seeded"}, time.monotonic() + 0.01)
    found.set("b", "seeded")
    assert found.wait_all({"a": "seeded", "b": "seeded"}, time.monotonic() - 1)


def test_all_are_not_waited_for_after_a_failure() -> None:
    found = board()
    assert not in_a_thread(lambda: found.wait_all({"a": "seeded"}, time.monotonic() + 60), lambda: found.fail(ValueError()))


def test_the_first_failure_counts() -> None:
    found, first = board(), ValueError("first")
    assert not found.failed
    found.fail(first)
    found.fail(ValueError("second"))
    assert found.failed
    assert found.failure is first


def test_changes_are_told() -> None:
    told: list[tuple[str, str, str]] = []
    found = ServiceStates.of(["a"], lambda service, row: told.append((service, row.state, row.detail)))
    found.set("a", "starting", "starting")
    found.say("a", "pulling")
    found.say("unknown", "nothing")
    found.set("a", "ready")
    assert told == [("a", "starting", "starting"), ("a", "starting", "pulling"), ("a", "ready", "")]


@pytest.mark.parametrize("state", ["ready", "seeded", "done"])
def test_a_row_knows_when_it_got_ready(state: str) -> None:
    found = board()
    assert found.rows["a"] == Row()
    found.set("a", "starting")
    assert found.rows["a"].ready_ms is None
    found.set("a", state)
    took = found.rows["a"].ready_ms
    assert took is not None
    found.began -= 100
    found.set("a", "done")
    assert found.rows["a"].ready_ms == took
