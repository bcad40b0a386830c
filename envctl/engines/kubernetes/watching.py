"""The pods and warnings of one instance. The API server is watched, never polled."""

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
"""The seconds between two watches of events."""
SILENCE = 240.0
"""The seconds without data after which a watch is started again, because its connection may be dead without an error."""
LOST = 30.0
"""The seconds without a successful watch or list after which the watch fails. The replacement of an API server takes less."""
NO_STATUS = -1
"""The exit status that is reported for a pod that does not start."""
LAST = 50
"""The number of warnings that are kept for each service; a service that crashes repeatedly has many."""


@dataclass
class Pods:
    """The current pods and warnings of an instance; `changed` is notified whenever a pod changes."""

    api: Api
    namespace: str
    id: str
    on_exit: Callable[[str, int], None] = lambda service, status: None
    on_loss: Callable[[BaseException], None] = lambda error: None
    owners: Callable[[], Mapping[str, tuple[str, ...]]] = dict
    """Returns service to the names of its workloads. Events refer to these names, or to names that begin with them."""
    fresh: bool = False
    """Whether the namespace is new, so that no event in it is out of date."""
    failures: dict[str, PodFailure] = field(default_factory=dict)
    """Service to the failure from which it does not recover."""
    gone: dict[str, Object] = field(default_factory=dict)
    """Owner to the last known state of its pod that no longer exists. A deleted pod disappears as soon as it has stopped."""
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
        """Uid to pod."""
        return self._pods.known

    @contextmanager
    def following(self) -> Iterator[None]:
        """Watch pods and events while the context is entered. Pods that exist at its start are known at once.

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
        """Return the newest pod of a service or, with the prefix JOB, of a Job; None if it has no pod."""
        with self.changed:
            return newest(pod for pod in self.known.values() if owner_of(pod) == service)

    def state(self, service: str) -> ServiceState:
        """Return the state of a service."""
        with self.changed:
            return service_state(pod for pod in self.known.values() if owner_of(pod) == service)

    def wait(self, condition: Callable[[], bool]) -> bool:
        """Wait until *condition* is true, and return True; return False if the watch ends before. Check it whenever something changes."""
        with self.changed:
            while not condition():
                if self._closing.is_set():
                    return False
                self.changed.wait(0.5)  # with a timeout, so that signals are handled
        return True

    def _remember(self, pod: Object) -> None:
        self.gone[owner_of(pod)] = pod

    def _look_at(self, pods: list[Object]) -> None:
        with self.changed:
            self.changed.notify_all()
        for pod in pods:
            self._check(pod)

    def _check(self, pod: Object) -> None:
        """Report a pod that has ended, or that cannot start."""
        service = owner_of(pod)
        now = self.of(service) if service else None
        if now is None or not alive(pod) or uid(now) != uid(pod):  # another pod has replaced this one
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
        """Call the listener. Report its errors, which would otherwise look like errors of the watch, and only make it start again."""
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
        """Report the failure if the pod does not recover in time."""
        if self._closing.wait(found.patience):
            return
        now = self.known.get(uid(pod)) if pod else None
        left = failure_of(now) if now is not None and alive(now) else None
        if left is None or scaling_up(self.warnings.get(service, [])):
            return
        self._fail(service, PodFailure(left.what, left.advice, left.step))

    def _follow_events(self) -> None:
        """Collect warnings. They only explain failures, so a user without the right to read events gets shorter explanations."""
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
