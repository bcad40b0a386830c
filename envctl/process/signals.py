"""Signals: the first asks to stop, whatever runs; while something is being removed, none disturbs."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

AT_ONCE = 0.001
"""Seconds of a timer that is to ring at once: 0 would stop it."""
STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
"""Those that ask a command to stop."""

_asked = threading.Event()
_last: int = signal.SIGINT
_aside: dict[int, Any] = {}
"""The handlers that the outermost `shielded` has put aside."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Only the first one raises: a second one would interrupt what the first has begun to clear away."""
    global _last
    if not _asked.is_set():
        _last = number
        _asked.set()
        raise KeyboardInterrupt


def asked() -> bool:
    """Whether a signal has come: some code (pydantic's) makes another error of the KeyboardInterrupt that it raises."""
    return _asked.is_set()


def asked_by() -> int:
    """The signal that has come, or would: what others are to be asked with as well."""
    return _last


def install() -> None:
    """SIGTERM and SIGHUP end a command as Ctrl-C does; one that was ignored (nohup) stays ignored."""
    _asked.clear()
    sys.unraisablehook = _raise_again
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _raise_again(lost: Any) -> None:
    """Python drops what is raised in a finalizer, and the user's wish with it: it is asked again a moment later."""
    if lost.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(lost)
        return
    _asked.clear()
    threading.Thread(target=ask_to_stop, name="ask to stop", daemon=True).start()


def ask_to_stop(over: Callable[[], bool] = lambda: False) -> None:
    """As Ctrl-C does, from another thread: until it is heard, or *over*.

    For as long as `shielded` lasts, nobody listens, and a signal that was ignored from the start stays ignored.
    """
    main = threading.main_thread()
    while main.is_alive() and not _asked.is_set() and not over():
        time.sleep(0.01)
        heard = next((number for number in STOP_SIGNALS if signal.getsignal(number) is _interrupt), None)
        if heard is not None and not _asked.is_set():
            signal.pthread_kill(main.ident or 0, heard)


def leave(status: int) -> NoReturn:
    """Ends the process with *status*, whatever signal still comes: Python gives them their default effect back before it ends.

    An interrupted one ends by itself: Python would kill it with SIGINT when its KeyboardInterrupt, though it was caught, had
    passed through an `exec` of a text, as dataclasses use it.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if not _asked.is_set():
        gc.freeze()  # Python would search all that is left for cycles, a fifth of a short command's work; it goes with the process
        sys.exit(status)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    sys.stderr.flush()
    os._exit(status)


class _Late(BaseException):
    """A deadline has passed: no error, so that nothing in between takes it for one that it may leave out."""


@contextmanager
def deadline(seconds: float, error: Callable[[], BaseException]) -> Iterator[None]:
    """Raises *error* in the main thread when what runs inside takes longer, whatever it waits for.

    A timer that the caller has set goes on afterwards, with what remains of it; one that rings earlier is the deadline.
    """
    if 0 < signal.getitimer(signal.ITIMER_REAL)[0] < seconds:
        yield
        return
    if not _in_main_thread() or not _can_be_given_back(signal.SIGALRM):
        yield
        return

    late = _Late()

    def ring(number: int, frame: FrameType | None) -> None:
        if not _asked.is_set():  # else it is being cleared away already
            raise late

    rest, interval = signal.setitimer(signal.ITIMER_REAL, 0)  # first, lest the caller's timer rings with our handler
    began = time.monotonic()
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, AT_ONCE))
        yield
    except _Late as rung:
        if rung is not late:
            raise
        raise error() from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if rest:
            signal.setitimer(signal.ITIMER_REAL, max(rest - (time.monotonic() - began), AT_ONCE), interval)


@contextmanager
def shielded() -> Iterator[None]:
    """Nothing interrupts what runs inside. (Signals reach the main thread alone: in another one there is nothing to do.)"""
    if not _in_main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS if _can_be_given_back(number)}
    outermost = not _aside
    if outermost:
        _aside.update({int(number): handler for number, handler in before.items()})
    try:
        yield
    finally:
        if outermost:
            _aside.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interruptible() -> Iterator[None]:
    """A wait within `shielded` that may be given up, since what it waits for goes on without us."""
    if not _in_main_thread():
        yield
        return
    for number, handler in _aside.items():
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in _aside:
            signal.signal(number, signal.SIG_IGN)


def _can_be_given_back(number: int) -> bool:
    """Whether its handler is one that Python knows: another one, of a library in C, would be lost."""
    return signal.getsignal(number) is not None


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
