"""The pods of an instance, watched: which one a forward leads to, and when it is gone."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from envctl.keeper.cluster.api import Cluster, Refused

SILENCE = 90.0
"""Seconds; bookmarks come about each minute."""
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
LASTED = 5.0
"""Seconds after which the end of a watch is no failure."""
OURS = "envctl-"
"""Containers of ours begin so; they say nothing of the service."""


class Pod:
    """What matters of one."""

    def __init__(self, seen: Mapping[str, Any]) -> None:
        meta, status = seen["metadata"], seen.get("status", {})
        self.name, self.uid = str(meta["name"]), str(meta["uid"])
        self.labels: dict[str, str] = meta.get("labels") or {}
        self.created = str(meta.get("creationTimestamp", ""))
        self.going = bool(meta.get("deletionTimestamp")) or status.get("phase") in ("Succeeded", "Failed")
        own = [each for each in status.get("containerStatuses") or [] if not each["name"].startswith(OURS)]
        self.data_ids = (self.uid, f"{self.uid} {own[0].get('containerID', '') if own else ''}")
        """Of data that lives as long as the pod, and of data that its container's end takes away."""
        self.running = bool(own) and all("running" in each.get("state", {}) for each in own)
        self.helped = all("running" in each.get("state", {}) for each in status.get("containerStatuses") or [])
        self.ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or [])


class Pods:
    """Those that carry *selector*; *changed* is called, in the thread of the watch, after each change."""

    def __init__(self, cluster: Cluster, namespace: str, selector: str, changed: Callable[[], None]) -> None:
        self._cluster, self._selector, self._changed = cluster, selector, changed
        self._path = f"/api/v1/namespaces/{quote(namespace)}/pods"
        self._known: dict[str, Pod] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._stream: socket.socket | None = None
        self.error = ""
        threading.Thread(target=self._follow, name="pods", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        self.doubt()

    def _opened(self, stream: socket.socket) -> None:
        self._stream = stream
        if self._stopped.is_set():
            self.stop()

    def best(self, selector: Mapping[str, str]) -> Pod | None:
        """The one to lead to: it runs; one that is ready before others, then the newest."""
        with self._lock:
            fit = [pod for pod in self._known.values() if pod.running and not pod.going and selector.items() <= pod.labels.items()]
        return max(fit, key=lambda pod: (pod.ready, pod.created), default=None)

    def there(self, uid: str) -> bool:
        """A pod that is on its way out still finishes what it has begun."""
        with self._lock:
            return uid in self._known

    def doubt(self) -> None:
        """What is known may be wrong, since a watch whose connection died in silence tells nothing: they are listed anew."""
        stream = self._stream
        if stream is not None:
            with suppress(OSError):  # it has ended meanwhile
                stream.shutdown(socket.SHUT_RDWR)

    def _follow(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                self._watch(self._list())
            except Exception as error:  # whatever breaks a connection; the pods that are known stay so meanwhile
                self.error = str(error) or type(error).__name__
            if time.monotonic() - began > LASTED:
                failures = 0
            self._stopped.wait(PAUSES[min(failures, len(PAUSES) - 1)])
            failures += 1

    def _list(self) -> str:
        answer = self._cluster.get(self._path, labelSelector=self._selector)
        with self._lock:
            self._known = {pod.uid: pod for pod in map(Pod, answer["items"])}
        self.error = ""
        self._changed()
        return str(answer["metadata"]["resourceVersion"])

    def _watch(self, version: str) -> None:
        query = {"labelSelector": self._selector, "resourceVersion": version, "allowWatchBookmarks": "true"}
        for event in self._cluster.watch(self._path, SILENCE, self._opened, **query):
            if self._stopped.is_set():
                return
            if event["type"] == "ERROR":
                raise Refused(410, str(event["object"].get("message", "")))
            if event["type"] != "BOOKMARK":
                self._take(event["type"], Pod(event["object"]))

    def _take(self, what: str, pod: Pod) -> None:
        with self._lock:
            if what == "DELETED":
                self._known.pop(pod.uid, None)
            else:
                self._known[pod.uid] = pod
        self._changed()
