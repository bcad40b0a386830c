"""Tests that a removal waits until everything that is being created exists."""

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


def test_what_comes_first_is_waited_for_and_is_under_way_itself() -> None:
    in_flight, may_end, order = InFlight(), threading.Event(), []

    def first() -> None:
        may_end.wait(10)
        order.append("first")

    def create() -> None:
        with in_flight.creating():
            order.append("created")

    in_flight.begin_with(first, "first")
    creator = threading.Thread(target=create)
    creator.start()
    creator.join(0.05)
    assert order == []
    may_end.set()
    creator.join()
    assert order == ["first", "created"]


def test_what_comes_first_has_ended_before_anything_is_torn_down() -> None:
    in_flight, may_end = InFlight(), threading.Event()
    in_flight.begin_with(lambda: may_end.wait(10), "first")
    assert not in_flight.settle(0.0)
    may_end.set()
    assert in_flight.settle(30.0)


def test_nothing_is_created_when_what_comes_first_fails() -> None:
    in_flight = InFlight()

    def fail() -> None:
        raise ValueError("it does not start")

    in_flight.begin_with(fail, "first")
    for _ in range(2):
        with pytest.raises(ValueError, match="does not start"), in_flight.creating():
            pytest.fail("it was created")
    assert in_flight.settle(30.0)
