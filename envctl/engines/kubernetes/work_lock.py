"""The lock with which only one machine at a time changes an instance: annotations of the Secret with its record, which all machines see.

A command takes the lock by replacing exactly the version of the Secret that it has read, and renews it only while it still holds it. A
waiting command takes over when it has seen no renewal for a while. It measures this time itself, because the clocks of two machines may
differ.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from envctl.engines.kubernetes.api import Api, ApiError, Ignoring
from envctl.engines.kubernetes.records import read
from envctl.engines.kubernetes.seeded_gate import note_begun
from envctl.engines.protocol import MadeElsewhere, PublishedRecord
from envctl.errors import EnvctlError
from envctl.instance.labels import INSTANCE, UNFINISHED, WORKER, WORKING
from envctl.instance.machine import owner_alive
from envctl.instance.record import now
from envctl.keeper.cluster.pod_status import has_data, maker
from envctl.keeper.cluster.presence import record_name
from envctl.keeper.cluster.protocol import Object, path_of

LASTS, EVERY, LONG_PAST = 60.0, 15.0, 86400.0
"""The seconds until a lock expires without a renewal, those between two renewals, and the age at which a lock is taken over at once."""
LAST_RENEWAL = 5.0
"""The seconds that a renewal may still take when the work has ended."""
DONE, FAILED = "done", "failed"
"""What replaces the time in the annotation when the work has ended."""
REFUSED = (409, 422)
"""The HTTP statuses with which the API server refuses a change whose preconditions do not hold."""


def begun(worker: str) -> dict[str, str]:
    """Return the annotations of a new record. They contain the lock, so that no separate request is needed."""
    return {WORKER: worker, WORKING: now(LASTS), UNFINISHED: "true"}


def done(worker: str) -> dict[str, str]:
    """Return the annotations of the record of an instance that is complete."""
    return {WORKER: worker, WORKING: DONE, UNFINISHED: ""}


@dataclass
class _Lock:
    """A lock that this command holds."""

    api: Api
    namespace: str
    id: str
    worker: str
    lost: Callable[[EnvctlError], None]
    every: float = EVERY
    renewed: bool = False
    gone: EnvctlError | None = None
    """Why this command has lost the lock; None while it holds it."""
    _ended: threading.Event = field(default_factory=threading.Event)

    def say(self, state: str) -> None:
        """Write *state* if this command still holds the lock; otherwise report at once that it is lost."""
        annotations = "/metadata/annotations/"
        change = [
            {"op": "test", "path": f"{annotations}{WORKER}", "value": self.worker},
            {"op": "add", "path": f"{annotations}{WORKING}", "value": state},
        ]
        try:
            self.api.request("PATCH", path_of("v1", "Secret", self.namespace, record_name(self.id)), change, "application/json-patch+json")
        except ApiError as error:
            if error.status in REFUSED:
                hint = "this command did not renew its lock for a minute; `envctl up` brings everything to the state in the definition"
                self.gone = EnvctlError(f"another machine has started to work on {self.id}", hint=hint)
                self.lost(self.gone)
        except EnvctlError:
            pass  # the next renewal may succeed; if none does, the lock expires

    def renew(self) -> None:
        """Renew the lock regularly, until the work has ended or the lock is lost."""
        while self.gone is None and not self._ended.wait(self.every):
            self.say(now(LASTS))
            self.renewed = True

    @contextmanager
    def held(self, new: bool = False) -> Iterator[None]:
        """Renew the lock while the context is entered; then write whether the work has succeeded.

        Args:
            new: whether this command creates the instance, and writes success with the record itself. Failure is not written then,
                because the instance is about to be removed, and other machines wait for that.

        Raises:
            EnvctlError: another machine has taken over.
        """
        thread = threading.Thread(target=self.renew, name="work lock", daemon=True)
        thread.start()
        state = "" if new else FAILED
        try:
            yield
            state = "" if new and not self.renewed else DONE
        finally:
            self._ended.set()
            thread.join(LAST_RENEWAL)
            if state and self.gone is None:
                self.say(state)
        if self.gone is not None:
            raise self.gone


@contextmanager
def alone(
    api: Api, namespace: str, id: str, worker: str, pause: Callable[[], None], lost: Callable[[EnvctlError], None], every: float = EVERY
) -> Iterator[PublishedRecord | None]:  # fmt: skip
    """Wait until no other machine works on the instance, and hold the lock while the context is entered.

    The context gives the published record; None if there is none.

    Args:
        worker: as in `DeploymentSettings`.
        pause: called between two checks while another machine works on the instance; it may raise.
        lost: called in another thread when another machine has taken over.
        every: the seconds between two renewals.

    Raises:
        MadeElsewhere: the instance was removed during the wait.
        EnvctlError: the cluster cannot be queried, or another machine has taken over.
    """
    found = _taken(api, namespace, id, worker, pause)
    if found is None:
        yield None
        return
    with _Lock(api, namespace, id, worker, lost, every).held():
        yield read(found)


@contextmanager
def alone_from_the_start(
    api: Api, namespace: str, id: str, worker: str, lost: Callable[[EnvctlError], None], every: float = EVERY
) -> Iterator[PublishedRecord | None]:  # fmt: skip
    """Hold the lock of an instance that this command creates, while the context is entered.

    The lock is written with the record (`begun` at first, `done` at the end), so that it needs no further requests.

    Raises:
        EnvctlError: another machine has taken over.
    """
    with _Lock(api, namespace, id, worker, lost, every).held(new=True):
        yield None


def _taken(api: Api, namespace: str, id: str, worker: str, pause: Callable[[], None]) -> Object | None:
    """Take the lock; return the Secret with the record, as the previous command has left it. Return None if there is no record."""
    others, waited = _Others(), False
    while True:
        found = _read(api, namespace, id)
        if found is None and waited:
            raise MadeElsewhere(f"{id} is gone: another machine has removed it")
        if found is None:
            return None
        annotations = found["metadata"].get("annotations") or {}
        if annotations.get(WORKER) != worker and others.work(annotations):
            pause()
            waited = True
            continue
        if annotations.get(UNFINISHED):
            _mark_half_made(api, namespace, id, annotations.get(WORKER, ""))
        if _replaced(api, namespace, id, worker, found["metadata"]["resourceVersion"]):
            return found


def _read(api: Api, namespace: str, id: str) -> Object | None:
    """Return the Secret; None if it or its namespace does not exist. (For a missing namespace, the API server reports missing rights.)"""
    with Ignoring(403):
        return api.get("v1", "Secret", namespace, record_name(id))
    return None


def _replaced(api: Api, namespace: str, id: str, worker: str, version: str) -> bool:
    """Take the lock; return False if the record has changed since *version*."""
    meta = {"annotations": {WORKER: worker, WORKING: now(LASTS), UNFINISHED: ""}, "resourceVersion": version}
    path = path_of("v1", "Secret", namespace, record_name(id))
    with Ignoring(404, 409):
        api.request("PATCH", path, {"metadata": meta}, "application/merge-patch+json")
        return True
    return False


@dataclass
class _Others:
    """The last renewal of another machine that was seen, and since when, in monotonic seconds."""

    seen: tuple[str, str] = ("", "")
    since: float = 0.0

    def work(self, annotations: dict[str, str]) -> bool:
        """Return whether another machine still works on the instance."""
        worker, working = annotations.get(WORKER, ""), annotations.get(WORKING, DONE)
        if not worker or working in (DONE, FAILED) or working < now(-LONG_PAST) or owner_alive(worker.partition("@")[2]) is False:
            return False
        if (worker, working) != self.seen:
            self.seen, self.since = (worker, working), time.monotonic()
        return time.monotonic() < self.since + LASTS


def _mark_half_made(api: Api, namespace: str, id: str, worker: str) -> None:
    """Mark all data that the first machine has not reported as made: it may be incomplete."""
    for pod in api.list("v1", "Pod", namespace, f"{INSTANCE}={id}"):
        if not has_data(pod) and not maker(pod):
            with Ignoring(404, 409):
                note_begun(api, pod, worker, as_read=True)
