"""The pods and warnings of one instance as the API server tells of them: watched, never polled."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from envctl.engines.kubernetes.api import Api
from envctl.engines.kubernetes.pods import PodFailure, failure_of, owner_of, refusal_of, scaling_up, service_state
from envctl.engines.protocol import ServiceState
from envctl.errors import EnvctlError
from envctl.instance.labels import INSTANCE
from envctl.keeper.cluster.pod_status import alive, exit_status, is_running, newest, own_status, uid
from envctl.keeper.cluster.pod_watch import PodWatch
from envctl.keeper.cluster.protocol import Object, path_of
from envctl.process.threads import guarded_thread

PAUSE = 0.5
SILENCE = 240.0
"""Seconds without a word after which a watch is begun anew: a connection may have died without one."""
LOST = 30.0
"""Seconds in which neither a watch nor a list succeeds, after which we give up: an API server that is replaced needs fewer."""
NO_STATUS = -1
LAST = 50
"""Warnings of a service that are kept: one that crashes again and again has many."""


@dataclass
class Pods:
    """What is known now; `changed` is notified whenever that is more."""

    api: Api
    namespace: str
    id: str
    on_exit: Callable[[str, int], None] = lambda service, status: None
    on_loss: Callable[[BaseException], None] = lambda error: None
    owners: Callable[[], Mapping[str, tuple[str, ...]]] = dict
    """Service to the names of its workloads: events are about those, and about what is named after them."""
    fresh: bool = False
    """The namespace is new: whatever happens there is of now."""
    failures: dict[str, PodFailure] = field(default_factory=dict)
    """By service: what will not heal."""
    gone: dict[str, Object] = field(default_factory=dict)
    """By owner: what was last known of a pod that is there no more. One that is asked to stop goes as soon as it has ended."""
    warnings: dict[str, list[Object]] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    _told: set[tuple[str, int]] = field(default_factory=set)
    _hang_up_events: Callable[[], None] = lambda: None
    _closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._pods: PodWatch[Object] = PodWatch(
            self.api, self.namespace, f"{INSTANCE}={self.id}", lambda pod: pod, self._look_at, self._remember
        )

    @property
    def known(self) -> dict[str, Object]:
        """By uid."""
        return self._pods.known

    @contextmanager
    def following(self) -> Iterator[None]:
        """They are followed as long as the context is entered; what is there then is known at once.

        Raises:
            EnvctlError: the pods cannot be listed.
        """
        try:
            version = self._pods.list()
            guarded_thread(lambda: self._follow_pods(version), self.on_loss, name="pods")
            guarded_thread(self._follow_events, self.on_loss, name="events")
            yield
        finally:
            self._closing.set()
            with self.changed:
                self.changed.notify_all()
            self._pods.stop()
            self._hang_up_events()

    def _follow_pods(self, version: str) -> None:
        try:
            self._pods.follow(version, LOST)
        except EnvctlError as error:
            raise EnvctlError(f"the cluster no longer reports its pods: {error.message}", hint=error.hint) from None

    def of(self, service: str) -> Object | None:
        with self.changed:
            return newest(pod for pod in self.known.values() if owner_of(pod) == service)

    def state(self, service: str) -> ServiceState:
        with self.changed:
            return service_state(pod for pod in self.known.values() if owner_of(pod) == service)

    def wait(self, condition: Callable[[], bool]) -> bool:
        """Whether *condition* came true before they are followed no more; it is looked at whenever something has changed."""
        with self.changed:
            while not condition():
                if self._closing.is_set():
                    return False
                self.changed.wait(0.5)  # now and then, so that a signal is handled
        return True

    def _remember(self, pod: Object) -> None:
        self.gone[owner_of(pod)] = pod

    def _look_at(self, pods: list[Object]) -> None:
        with self.changed:
            self.changed.notify_all()
        for pod in pods:
            self._check(pod)

    def _check(self, pod: Object) -> None:
        """Whether it has ended, or will never begin."""
        service = owner_of(pod)
        now = self.of(service) if service else None
        if now is None or not alive(pod) or uid(now) != uid(pod):  # others were replaced, perhaps long ago
            return
        found = failure_of(pod)
        if found is not None:
            self._fail(service, found, pod)
        restarts = int(own_status(pod).get("restartCount", 0))
        status = exit_status(pod)
        if status is not None and not is_running(pod) and (uid(pod), restarts) not in self._told:
            self._told.add((uid(pod), restarts))
            self._tell(service, status)

    def _tell(self, service: str, status: int) -> None:
        """A listener that breaks is no stream that does, which would only be begun anew."""
        try:
            self.on_exit(service, status)
        except BaseException as error:
            self.on_loss(error)

    def _fail(self, service: str, found: PodFailure, pod: Object | None = None) -> None:
        if found.patience:
            guarded_thread(lambda: self._still(service, found, pod), self.on_loss, name=f"patience with {service}")
            return
        if service not in self.failures:
            self.failures[service] = found
            self._tell(service, NO_STATUS)

    def _still(self, service: str, found: PodFailure, pod: Object | None) -> None:
        """Gives it time to heal."""
        if self._closing.wait(found.patience):
            return
        now = self.known.get(uid(pod)) if pod else None
        left = failure_of(now) if now is not None and alive(now) else None
        if left is None or scaling_up(self.warnings.get(service, [])):
            return
        self._fail(service, PodFailure(left.what, left.advice, left.step))

    def _follow_events(self) -> None:
        """Warnings are evidence only: without the right to see them, there is less of it."""
        path = path_of("v1", "Event", self.namespace)
        while not self._closing.is_set():
            with suppress(Exception):
                since = {} if self.fresh else {"resourceVersion": self._now(path)}
                self.fresh = False
                for event in self.api.watch(path, SILENCE, self._opened_events, **since):
                    self._warned(event["object"])
            self._closing.wait(PAUSE)

    def _now(self, path: str) -> str:
        return str(self.api.request("GET", path, limit="1")["metadata"]["resourceVersion"])

    def _opened_events(self, hang_up: Callable[[], None]) -> None:
        self._hang_up_events = hang_up
        if self._closing.is_set():
            hang_up()

    def _warned(self, event: Mapping[str, Any]) -> None:
        about = str((event.get("involvedObject") or {}).get("name", ""))
        for service, names in self.owners().items():
            if any(re.fullmatch(rf"{re.escape(name)}(-[0-9a-z]{{5,10}}){{0,2}}", about) for name in names):
                told = self.warnings.setdefault(service, [])
                told.append(dict(event))
                del told[:-LAST]
                found = refusal_of(event)
                if found is not None:
                    self._fail(service, found)
