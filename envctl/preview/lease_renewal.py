"""While a command works under its claim: the lease is renewed, and the command ends when a newer one asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from envctl.errors import EnvctlError, Interrupted
from envctl.preview.lock import Claim, Superseded
from envctl.process import signals

EVERY = 5.0
"""Seconds."""


@contextmanager
def working(claim: Claim, until: float, told: Callable[[EnvctlError], str]) -> Iterator[None]:
    """Holds the lock while what is inside works.

    Args:
        until: by `time.monotonic`, to wait for it.
        told: a failure as everybody may read it: secrets masked.

    Raises:
        Superseded: before it began, or in the middle: then it was ended as by Ctrl-C.
        OutOfTime: whoever works does not end.
    """
    claim.acquire(until)
    over, why = threading.Event(), list[str]()
    watcher = threading.Thread(target=_watch, args=(claim, over, why), name="lock", daemon=True)
    watcher.start()
    error = ""
    try:
        yield
        over.set()
        if newer := claim.renew():
            raise Superseded(f"{claim.request.key}: {newer}")
    except (Interrupted, KeyboardInterrupt) as interrupted:  # `up` says what has become of it, a removal goes on without us
        words = interrupted.message if isinstance(interrupted, Interrupted) else ""
        if not why:
            error = told(interrupted) if isinstance(interrupted, Interrupted) else ""
            raise
        raise Superseded(f"{claim.request.key}: {why[0]}", hint=words) from None
    except Superseded:
        raise
    except EnvctlError as failed:
        error = told(failed)
        raise
    finally:
        over.set()
        watcher.join()
        claim.release(error)


def _watch(claim: Claim, over: threading.Event, why: list[str]) -> None:
    """An API server that does not answer is no reason to end: the command finds out by itself."""
    while not over.wait(EVERY):
        try:
            newer = claim.renew()
        except EnvctlError:
            continue
        if newer:
            why.append(newer)
            signals.ask_to_stop(over.is_set)
            return
