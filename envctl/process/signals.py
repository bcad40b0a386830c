"""Handle signals: the first signal stops the command, whatever it does; during a removal, signals are ignored."""

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
"""The seconds of a timer that should fire immediately: 0 would disable the timer."""
STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
"""The signals that ask a command to stop."""

_asked = threading.Event()
_last: int = signal.SIGINT
_aside: dict[int, Any] = {}
"""The handlers that the outermost `shielded` has replaced."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt for the first signal only: a second one would interrupt the cleanup that the first has started."""
    global _last
    if not _asked.is_set():
        _last = number
        _asked.set()
        raise KeyboardInterrupt


def asked() -> bool:
    """Return whether a signal has arrived. Some code (pydantic) turns the KeyboardInterrupt into another error."""
    return _asked.is_set()


def asked_by() -> int:
    """Return the signal that has arrived, or SIGINT: the signal to stop other processes with."""
    return _last


def install() -> None:
    """Make SIGTERM and SIGHUP end the command as Ctrl-C does; a signal that was ignored at the start (nohup) stays ignored."""
    _asked.clear()
    sys.unraisablehook = _raise_again
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _raise_again(lost: Any) -> None:
    """Repeat a KeyboardInterrupt that was raised in a finalizer, since Python drops exceptions there."""
    if lost.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(lost)
        return
    _asked.clear()
    threading.Thread(target=ask_to_stop, name="ask to stop", daemon=True).start()


def ask_to_stop(over: Callable[[], bool] = lambda: False) -> None:
    """Stop the command from another thread, as Ctrl-C does; repeat until the main thread reacts, or *over* returns true.

    The main thread does not react within `shielded`, and a signal that was ignored at the start stays ignored.
    """
    main = threading.main_thread()
    while main.is_alive() and not _asked.is_set() and not over():
        time.sleep(0.01)
        heard = next((number for number in STOP_SIGNALS if signal.getsignal(number) is _interrupt), None)
        if heard is not None and not _asked.is_set():
            signal.pthread_kill(main.ident or 0, heard)


def leave(status: int) -> NoReturn:
    """End the process with *status*, even if another signal arrives: Python restores the default handlers before it ends.

    After an interrupt, `os._exit` ends the process: Python kills itself with SIGINT at its end if a KeyboardInterrupt, although it was
    caught, has passed through an `exec` of text, as dataclasses use it.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if not _asked.is_set():
        gc.freeze()  # Python would search all remaining objects for cycles, a fifth of a short command's work; the process ends anyway
        sys.exit(status)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    sys.stderr.flush()
    os._exit(status)


class _Late(BaseException):
    """A deadline has passed. It is not an Exception, so that no code in between handles it as an ordinary error."""


@contextmanager
def deadline(seconds: float, error: Callable[[], BaseException]) -> Iterator[None]:
    """Raise *error* in the main thread if the block takes longer than *seconds*, whatever it waits for.

    A timer that the caller has set continues afterwards with its remaining time; if it would fire earlier, it is the deadline.
    """
    if 0 < signal.getitimer(signal.ITIMER_REAL)[0] < seconds:
        yield
        return
    if not _in_main_thread() or not _can_be_given_back(signal.SIGALRM):
        yield
        return

    late = _Late()

    def ring(number: int, frame: FrameType | None) -> None:
        if not _asked.is_set():  # else the cleanup has already started
            raise late

    rest, interval = signal.setitimer(signal.ITIMER_REAL, 0)  # first, so that the caller's timer cannot call the new handler
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
    """Ignore the stop signals inside the block. Signals reach only the main thread, so in other threads nothing is changed."""
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
    """Allow signals again during a wait within `shielded`: the wait may end early, since the operation continues without this process."""
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
    """Return whether the signal's current handler is known to Python; the handler of a C library could not be restored."""
    return signal.getsignal(number) is not None


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
