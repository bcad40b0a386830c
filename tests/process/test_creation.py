"""Nothing is removed before what was asked for is there."""

from __future__ import annotations

import threading

import pytest

from envctl.process.creation import InFlight, TearingDown


def test_nothing_is_under_way() -> None:
    assert InFlight().settle(0.0)


def test_what_is_under_way_is_waited_for() -> None:
    in_flight, begun, may_end, done = InFlight(), threading.Event(), threading.Event(), []

    def create() -> None:
        with in_flight.creating():
            begun.set()
            may_end.wait(10)
            done.append("created")

    threading.Thread(target=create).start()
    begun.wait(10)
    assert not in_flight.settle(0.0)
    may_end.set()
    assert in_flight.settle(30.0)
    assert done == ["created"]


def test_nothing_new_is_begun() -> None:
    in_flight = InFlight()
    in_flight.settle(0.0)
    with pytest.raises(TearingDown), in_flight.creating():
        pytest.fail("it was begun")
    assert in_flight.settle(0.0)


def test_a_failure_is_an_end_too() -> None:
    in_flight = InFlight()
    with pytest.raises(ValueError, match="refused"), in_flight.creating():
        raise ValueError("refused")
    assert in_flight.settle(0.0)


def test_one_that_is_torn_down_does_not_stop_another() -> None:
    InFlight().settle(0.0)
    with InFlight().creating():
        pass
