from __future__ import annotations

import threading
import time

from envctl.lifecycle.start_limiter import StartLimiter, priorities
from tests.builders import plan_with, service, step_of


def until(condition: object) -> None:
    """Wait up to 5 seconds until *condition* holds in another thread."""
    deadline = time.monotonic() + 5
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_the_most_urgent_goes_in_first() -> None:
    gate, order = StartLimiter(1), []

    def go(name: str, priority: int) -> None:
        with gate.enter(priority):
            order.append(name)

    threads = [threading.Thread(target=go, args=each) for each in (("low", 1), ("first", 2), ("second", 2), ("high", 3))]
    with gate.enter(0):
        for number, thread in enumerate(threads):
            thread.start()
            until(lambda count=number + 1: len(gate._waiting) == count)
    for thread in threads:
        thread.join(5)
    assert order == ["high", "first", "second", "low"]


def test_no_more_than_its_width_are_inside() -> None:
    gate, inside, most, lock = StartLimiter(2), 0, 0, threading.Lock()

    def go() -> None:
        nonlocal inside, most
        with gate.enter(0):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.005)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert most == 2


def test_a_failure_makes_room() -> None:
    gate = StartLimiter(1)
    try:
        with gate.enter(0):
            raise ValueError
    except ValueError:
        pass
    with gate.enter(0):
        assert gate._inside == 1


def test_urgent_is_what_much_still_waits_for() -> None:
    """A service's priority is the cost of its own start and seeds, and of the longest chain of services that wait for it."""
    plan = plan_with(
        service("db", steps=(step_of("db"), step_of("db", 1))),
        service("mail", slow=0.5),
        service("events"),
        service("worker", needs={"events": "ready", "mail": "ready"}),
        service("orders", needs={"db": "seeded", "events": "ready"}),
        service("page", needs={"orders": "ready", "elsewhere": "ready"}),
    )
    assert priorities(plan) == {"page": 1, "orders": 2, "worker": 1, "events": 3, "mail": 1.5, "db": 5}
    assert priorities(plan_with(service("broker", slow=8.0), service("db", slow=2.0, steps=(step_of("db"),)))) == {"broker": 8, "db": 3}
