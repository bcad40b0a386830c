"""The renewal of a lock while a command works on a preview; the command ends when a newer one wants the lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from envctl.errors import EnvctlError, Interrupted
from envctl.preview.lock import Claim, Superseded
from envctl.process import signals

EVERY = 5.0
"""The seconds between two renewals."""


@contextmanager
def working(claim: Claim, until: float, told: Callable[[EnvctlError], str]) -> Iterator[None]:
    """Hold the lock while the context is entered.

    Args:
        until: how long to wait for the lock, as a time of `time.monotonic`.
        told: returns the text of an error with secrets masked, because everybody can read it in the lock.

    Raises:
        Superseded: a newer command has the pull request: before the start, or later; then the context is ended as by Ctrl-C.
        OutOfTime: another command does not end.
        EnvctlError: the cluster refuses a request, or does not answer.
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
    except (Interrupted, KeyboardInterrupt) as interrupted:  # `up` reports the result itself; a removal continues in the cluster
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
    """Renew the lock until *over* is set. End the command if a newer one wants the lock, but not if the API server does not answer."""
    while not over.wait(EVERY):
        try:
            newer = claim.renew()
        except EnvctlError:
            continue
        if newer:
            why.append(newer)
            signals.ask_to_stop(over.is_set)
            return
