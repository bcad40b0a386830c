from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from types import SimpleNamespace

import pytest

from envctl.errors import OutOfTime
from envctl.process import signals


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Restore the signal handlers and the hook after each test."""
    before, hook = {number: signal.getsignal(number) for number in signals.STOP_SIGNALS}, sys.unraisablehook
    yield
    signals._asked.set()  # ends a thread that repeats a signal
    for thread in threading.enumerate():
        if thread.name == "ask to stop":
            thread.join()
    signals.install()  # resets the state to "no signal received"
    sys.unraisablehook = hook
    for number, handler in before.items():
        signal.signal(number, handler)


def ask(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0)  # lets the handler run, which Python calls between two instructions


@pytest.mark.parametrize("number", signals.STOP_SIGNALS)
def test_a_signal_ends_a_command_as_ctrl_c_does(number: int) -> None:
    signals.install()
    with pytest.raises(KeyboardInterrupt):
        ask(number)


def test_an_ignored_signal_stays_ignored() -> None:
    """`nohup` starts commands with SIGHUP ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.install()
    ask(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_who_asks_twice_is_heard_once() -> None:
    """The second signal would interrupt the cleanup that the first one has started."""
    signals.install()
    with pytest.raises(KeyboardInterrupt):
        ask(signal.SIGINT)
    for number in signals.STOP_SIGNALS:
        ask(number)


class Finalized:
    def __del__(self) -> None:
        ask(signal.SIGINT)


def finalized() -> None:
    lost = Finalized()
    del lost
    time.sleep(10)


def test_an_interrupt_that_a_finalizer_swallowed_comes_again() -> None:
    signals.install()
    with pytest.raises(KeyboardInterrupt):
        finalized()


def test_it_comes_again_though_nobody_listens_at_first() -> None:
    """Here SIGINT is ignored from the start, and a removal blocks signals when the interrupt is repeated."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signals.install()
    with signals.shielded():
        signals._raise_again(SimpleNamespace(exc_type=KeyboardInterrupt))
        time.sleep(0.05)
    with pytest.raises(KeyboardInterrupt):
        time.sleep(10)


@pytest.mark.parametrize("number", signals.STOP_SIGNALS)
def test_nothing_disturbs_a_removal(number: int) -> None:
    signals.install()
    with signals.shielded():
        ask(number)
    with pytest.raises(KeyboardInterrupt):
        ask(number)


def test_a_failing_removal_gives_the_signals_back() -> None:
    signals.install()
    with pytest.raises(ValueError, match="x"), signals.shielded():
        raise ValueError("x")
    with pytest.raises(KeyboardInterrupt):
        ask(signal.SIGTERM)


@pytest.fixture
def rung() -> Iterator[list[int]]:
    """Yield the signals that a caller's own handler of SIGALRM receives; suspend pytest's own timer during the test."""
    heard: list[int] = []
    timer = signal.setitimer(signal.ITIMER_REAL, 0)
    before = signal.signal(signal.SIGALRM, lambda number, frame: heard.append(number))
    yield heard
    signal.signal(signal.SIGALRM, before)
    signal.setitimer(signal.ITIMER_REAL, *timer)


def test_a_deadline_ends_whatever_waits() -> None:
    with pytest.raises(OutOfTime), signals.deadline(0.02, lambda: OutOfTime("late")):
        threading.Event().wait(10)


def test_a_deadline_is_no_error_that_may_be_left_out() -> None:
    """A loop that continues after every Exception must still end at its deadline."""
    waits: list[int] = []

    def wait() -> None:
        while len(waits) < 2:
            waits.append(1)
            with suppress(Exception):
                threading.Event().wait(10)

    with pytest.raises(OutOfTime, match="late"), signals.deadline(0.02, lambda: OutOfTime("late")):
        wait()
    assert waits == [1]


def test_a_deadline_that_has_passed_ends_it_at_once() -> None:
    with pytest.raises(OutOfTime), signals.deadline(-5, lambda: OutOfTime("late")):
        threading.Event().wait(10)


def test_of_two_deadlines_the_earlier_one_counts() -> None:
    for outer, inner in ((0.02, 10), (10, 0.02)):
        late = {outer: OutOfTime("outer"), inner: OutOfTime("inner")}
        first, second = (signals.deadline(seconds, partial(late.__getitem__, seconds)) for seconds in (outer, inner))
        with pytest.raises(OutOfTime) as caught, first, second:
            threading.Event().wait(5)
        assert caught.value is late[0.02]


def test_after_a_deadline_nothing_rings(rung: list[int]) -> None:
    before = signal.getsignal(signal.SIGALRM)
    with signals.deadline(60, lambda: OutOfTime("late")):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_the_timer_of_the_caller_goes_on(rung: list[int]) -> None:
    signal.setitimer(signal.ITIMER_REAL, 30, 7)
    with signals.deadline(60, lambda: OutOfTime("late")):
        time.sleep(0.05)
    rest, interval = signal.getitimer(signal.ITIMER_REAL)
    assert 20 < rest <= 29.96
    assert interval == pytest.approx(7)
    assert rung == []


def test_a_timer_of_the_caller_that_is_late_rings_with_its_own_handler(rung: list[int]) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    with signals.deadline(60, lambda: OutOfTime("late")):
        time.sleep(0.1)
    time.sleep(0.1)
    assert rung == [signal.SIGALRM]


def test_a_handler_that_python_does_not_know_is_left_alone(rung: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The previous handler could not be restored."""
    replaced: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(signal, "getsignal", lambda number: None)
        patched.setattr(signal, "signal", lambda number, handler: replaced.append(number))
        with signals.shielded(), signals.deadline(60, lambda: OutOfTime("late")):
            assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert replaced == []


def test_a_thread_has_no_deadline() -> None:
    done: list[bool] = []

    def work() -> None:
        with signals.deadline(-1, lambda: OutOfTime("late")):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(5)
    assert done == [True]


def test_a_wait_within_a_shield_may_be_given_up() -> None:
    signals.install()
    with signals.shielded():
        with signals.shielded():
            ask(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt), signals.interruptible():
                ask(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN, "what comes after it is shielded again"
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


def test_what_was_ignored_from_the_start_gives_nothing_up() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.install()
    with signals.shielded(), signals.interruptible():
        ask(signal.SIGHUP)
    with signals.interruptible():
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_nobody_searches_what_is_left_for_cycles_on_the_way_out() -> None:
    script = (
        "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 0)); from envctl.process.signals import leave; leave(3)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "True\n")
