"""Tests of running tasks in parallel and of merging streams."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from envctl.process.threads import each, merged

# each


def test_results_stand_in_the_order_of_the_items() -> None:
    first_may_end = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            first_may_end.wait(10)
        elif number == 4:
            first_may_end.set()
        return number * number

    assert each(work, range(5), width=5) == [0, 1, 4, 9, 16]


def test_nothing_at_once() -> None:
    assert each(str, []) == []


def test_no_more_than_so_many_at_once() -> None:
    running, most, lock = [0], [0], threading.Lock()

    def work(number: int) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        with lock:
            running[0] -= 1

    each(work, range(50), width=2)
    assert most[0] <= 2


def test_the_first_error_is_raised_while_others_still_work() -> None:
    ends = threading.Event()

    def work(number: int) -> None:
        if number:
            raise ValueError("the second")
        ends.wait(30)

    with pytest.raises(ValueError, match="the second"):
        each(work, range(2))
    ends.set()


# merged


def test_everything_comes_in_the_order_of_its_stream() -> None:
    found = list(merged([range(100), range(100, 200)]))
    assert sorted(found) == list(range(200))
    assert [number for number in found if number < 100] == list(range(100))


def test_no_streams() -> None:
    assert list(merged([])) == []


def test_a_slow_stream_does_not_hold_up_the_others() -> None:
    may_go_on = threading.Event()

    def slow() -> Iterator[str]:
        may_go_on.wait(10)
        yield "slow"

    stream = merged([slow(), ["quick"]])
    assert next(stream) == "quick"
    may_go_on.set()
    assert list(stream) == ["slow"]


def test_a_stream_that_fails_has_ended() -> None:
    def fails() -> Iterator[str]:
        yield "last"
        raise OSError("the daemon went away")

    assert sorted(merged([fails(), ["a", "b"]])) == ["a", "b", "last"]


def test_nothing_itself_is_something() -> None:
    assert list(merged([[None, 0, ""]])) == [None, 0, ""]


def test_a_stream_waits_for_its_reader() -> None:
    """Output of a service that is not read must not fill the memory."""
    given = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            given.append(number)
            yield number
            number += 1

    stream = merged([endless()])
    assert [next(stream) for _ in range(5000)] == list(range(5000))
    assert len(given) < 7000
