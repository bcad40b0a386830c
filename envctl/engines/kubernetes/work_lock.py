"""One machine at a time changes an instance: annotations of its record's Secret, which all of them see, say which one does.

It is taken by replacing the very version of the Secret that was read, and renewed only where it is still ours. A holder is taken for
dead when it has not renewed it for a while by the clock of whoever waits: the clocks of two machines may differ.
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
"""Seconds: without a renewal until a holder is taken for dead, between two renewals, and since one that nobody needs to wait for."""
LAST_RENEWAL = 5.0
"""Seconds in which a renewal that is under way has to end."""
DONE, FAILED = "done", "failed"
"""What stands in the place of a time once the work has ended."""
REFUSED = (409, 422)
"""The statuses with which a change of what is not as we think it is is refused."""


def begun(worker: str) -> dict[str, str]:
    """The annotations with which a new record is written: nobody has to say separately that it works."""
    return {WORKER: worker, WORKING: now(LASTS), UNFINISHED: "true"}


def done(worker: str) -> dict[str, str]:
    """Those with which it is written when everything is there."""
    return {WORKER: worker, WORKING: DONE, UNFINISHED: ""}


@dataclass
class _Lock:
    """Ours, once it is taken."""

    api: Api
    namespace: str
    id: str
    worker: str
    lost: Callable[[EnvctlError], None]
    every: float = EVERY
    renewed: bool = False
    gone: EnvctlError | None = None
    """Why it is not ours any more."""
    _ended: threading.Event = field(default_factory=threading.Event)

    def say(self, state: str) -> None:
        """Where it is still ours; where it is not, that is told at once."""
        annotations = "/metadata/annotations/"
        change = [
            {"op": "test", "path": f"{annotations}{WORKER}", "value": self.worker},
            {"op": "add", "path": f"{annotations}{WORKING}", "value": state},
        ]
        try:
            self.api.request("PATCH", path_of("v1", "Secret", self.namespace, record_name(self.id)), change, "application/json-patch+json")
        except ApiError as error:
            if error.status in REFUSED:
                hint = "nothing was heard of this one for a minute; `envctl up` again brings everything to what its definition says"
                self.gone = EnvctlError(f"another machine has begun to work on {self.id} meanwhile", hint=hint)
                self.lost(self.gone)
        except EnvctlError:
            pass  # the next one may get through, and others find out by the time

    def renew(self) -> None:
        while self.gone is None and not self._ended.wait(self.every):
            self.say(now(LASTS))
            self.renewed = True

    @contextmanager
    def held(self, new: bool = False) -> Iterator[None]:
        """Renewed until the work has ended, which is said then.

        Args:
            new: the record itself says that everything is there. Where we fail nothing is said: it is about to be removed, and
                others wait for that.
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
    """While no other machine works on the instance; what is published of it then, None where there is nothing.

    Args:
        worker: as in `DeploymentSettings`.
        pause: called between two looks while another one works; it may raise.
        lost: called in another thread when another machine has taken over.

    Raises:
        MadeElsewhere: it was removed while we waited.
        EnvctlError: nobody could look; or another machine took over.
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
    """While we make the instance: its record says `begun` when it comes, and `done` in the end, without further requests."""
    with _Lock(api, namespace, id, worker, lost, every).held(new=True):
        yield None


def _taken(api: Api, namespace: str, id: str, worker: str, pause: Callable[[], None]) -> Object | None:
    """The record's Secret, as the one before has left it; None where there is none."""
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
    """None also where the namespace is not there: whoever has no rights in it is not told so."""
    with Ignoring(403):
        return api.get("v1", "Secret", namespace, record_name(id))
    return None


def _replaced(api: Api, namespace: str, id: str, worker: str, version: str) -> bool:
    """Whether it is ours now; not where somebody has changed the record since that version."""
    meta = {"annotations": {WORKER: worker, WORKING: now(LASTS), UNFINISHED: ""}, "resourceVersion": version}
    path = path_of("v1", "Secret", namespace, record_name(id))
    with Ignoring(404, 409):
        api.request("PATCH", path, {"metadata": meta}, "application/merge-patch+json")
        return True
    return False


@dataclass
class _Others:
    """What was seen of whoever works, and since when."""

    seen: tuple[str, str] = ("", "")
    since: float = 0.0

    def work(self, annotations: dict[str, str]) -> bool:
        worker, working = annotations.get(WORKER, ""), annotations.get(WORKING, DONE)
        if not worker or working in (DONE, FAILED) or working < now(-LONG_PAST) or owner_alive(worker.partition("@")[2]) is False:
            return False
        if (worker, working) != self.seen:
            self.seen, self.since = (worker, working), time.monotonic()
        return time.monotonic() < self.since + LASTS


def _mark_half_made(api: Api, namespace: str, id: str, worker: str) -> None:
    """Of data that the first machine has not said to be made nobody knows how far it came."""
    for pod in api.list("v1", "Pod", namespace, f"{INSTANCE}={id}"):
        if not has_data(pod) and not maker(pod):
            with Ignoring(404, 409):
                note_begun(api, pod, worker, as_read=True)
