"""One machine at a time changes an instance: the annotations of its record's Secret, which all of them see, say which.

Only the version of the Secret that was read is replaced, so no two machines both believe that they have it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from envctl.engines.kubernetes.api import Api, ApiError, Ignoring
from envctl.engines.kubernetes.records import read
from envctl.engines.protocol import Handover, Left, MadeElsewhere
from envctl.errors import EnvctlError
from envctl.instance.labels import WORKER, WORKING
from envctl.instance.machine import owner_alive
from envctl.instance.record import now
from envctl.keeper.cluster.presence import record_name
from envctl.keeper.cluster.protocol import Object, path_of

LASTS, EVERY = 60.0, 15.0
"""Seconds for which one word of whoever works counts, and between two words."""
DONE, FAILED = "done", "failed"
"""What stands in the place of a time once the work has ended."""


def begun(worker: str) -> dict[str, str]:
    """The annotations with which a new record is written: nobody has to say separately that it works."""
    return {WORKER: worker, WORKING: now(LASTS)}


def done(worker: str) -> dict[str, str]:
    """Those with which it is written when everything is there."""
    return {WORKER: worker, WORKING: DONE}


@contextmanager
def alone(api: Api, namespace: str, id: str, worker: str, pause: Callable[[], None], every: float = EVERY) -> Iterator[Handover]:
    """While no other machine works on the instance; it hears of us until we have ended.

    Args:
        worker: as in `DeploymentSettings`.
        pause: called between two looks while another one works; it may raise.

    Raises:
        EnvctlError: nobody could look.
    """
    handover = _taken(api, namespace, id, worker, pause)
    if handover is None:
        yield Handover()
        return
    with _heard_of(api, namespace, id, every):
        yield handover
        _finally_say(api, namespace, id, DONE)


@contextmanager
def alone_from_the_start(api: Api, namespace: str, id: str, every: float = EVERY) -> Iterator[Handover]:
    """While we make the instance: its record says `begun` when it comes, and `done` in the end."""
    with _heard_of(api, namespace, id, every):
        yield Handover()


@contextmanager
def _heard_of(api: Api, namespace: str, id: str, every: float) -> Iterator[None]:
    ended = threading.Event()
    threading.Thread(target=_keep, args=(api, namespace, id, ended, every), name="work lock", daemon=True).start()
    try:
        yield
    except MadeElsewhere:
        raise  # it is not ours to speak of
    except BaseException:
        _finally_say(api, namespace, id, FAILED)
        raise
    finally:
        ended.set()


def _finally_say(api: Api, namespace: str, id: str, how: str) -> None:
    with suppress(EnvctlError):  # others find out by the time
        _say(api, namespace, id, {WORKING: how})


def _taken(api: Api, namespace: str, id: str, worker: str, pause: Callable[[], None]) -> Handover | None:
    """None where the instance is not there: nobody else can work on it either."""
    while True:
        found = api.get("v1", "Secret", namespace, record_name(id))
        if found is None:
            return None
        told = found["metadata"].get("annotations") or {}
        before, working = told.get(WORKER, ""), told.get(WORKING, DONE)
        if before and _still_works(before, working):
            pause()
            continue
        try:
            there = _say(api, namespace, id, {WORKER: worker, WORKING: now(LASTS)}, found["metadata"]["resourceVersion"])
        except ApiError as error:
            if error.status != 409:
                raise
            continue
        return _handover(found, worker, before, working) if there else None


def _still_works(before: str, working: str) -> bool:
    return working not in (DONE, FAILED) and working > now() and owner_alive(before.partition("@")[2]) is not False


def _handover(found: Object, worker: str, before: str, working: str) -> Handover:
    """What we did last ourselves we know better."""
    if not before or _is_same(before, worker):
        return Handover()
    left = Left.DONE if working == DONE else Left.FAILED if working == FAILED else Left.DIED
    return Handover(read(found), left)


def _is_same(before: str, worker: str) -> bool:
    """Whether it was the same state, in the same boot of the same machine: another one may have the same path."""
    return before.partition("@")[0] == worker.partition("@")[0] and owner_alive(before.partition("@")[2]) is not None


def _keep(api: Api, namespace: str, id: str, ended: threading.Event, every: float) -> None:
    while not ended.wait(every):
        with suppress(EnvctlError):  # the next word may get through
            _say(api, namespace, id, {WORKING: now(LASTS)})


def _say(api: Api, namespace: str, id: str, told: dict[str, str], version: str | None = None) -> bool:
    """Whether there is a record to say it of; with *version* only of that one."""
    meta: Object = {"annotations": told, **({"resourceVersion": version} if version else {})}
    with Ignoring(404):
        api.request("PATCH", path_of("v1", "Secret", namespace, record_name(id)), {"metadata": meta}, "application/merge-patch+json")
        return True
    return False
