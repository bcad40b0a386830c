"""The pods that forwards lead to: which one is best, and when it is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from envctl.keeper.cluster import pod_status
from envctl.keeper.cluster.pod_watch import PodWatch

if TYPE_CHECKING:
    from envctl.keeper.cluster.pod_watch import Transport
    from envctl.keeper.cluster.protocol import Object


class Target:
    """What matters of a pod; the whole of it would be much to keep."""

    def __init__(self, pod: Object) -> None:
        self.name, self.uid = str(pod["metadata"]["name"]), pod_status.uid(pod)
        self.labels = pod_status.labels(pod)
        self.created = str(pod["metadata"].get("creationTimestamp", ""))
        self.running = pod_status.is_running(pod) and pod_status.alive(pod) and not pod_status.has_ended(pod)
        self.complete = pod_status.all_running(pod)
        self.ready = pod_status.is_ready(pod)
        self.data_ids = pod_status.data_ids(pod)


class Targets:
    """Those that carry *selector*; *changed* is called, in the thread of the watch, after each change."""

    def __init__(self, api: Transport, namespace: str, selector: str, changed: Callable[[], None]) -> None:
        self._pods = PodWatch(api, quote(namespace), selector, Target, lambda _: changed())
        threading.Thread(target=self._pods.follow, name="pods", daemon=True).start()

    @property
    def error(self) -> str:
        return self._pods.error

    def best(self, selector: Mapping[str, str]) -> Target | None:
        """The one to lead to: it runs; one that is ready before others, then the newest."""
        fit = [pod for pod in self._pods.known.values() if pod.running and selector.items() <= pod.labels.items()]
        return max(fit, key=lambda pod: (pod.ready, pod.created), default=None)

    def there(self, uid: str) -> bool:
        """A pod that is on its way out still finishes what it has begun."""
        return uid in self._pods.known

    def doubt(self) -> None:
        """Somebody has found a pod gone that is known."""
        self._pods.doubt()

    def stop(self) -> None:
        self._pods.stop()
