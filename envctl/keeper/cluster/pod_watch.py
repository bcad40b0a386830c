"""A watch of the pods with certain labels: list the pods, watch for changes, and list them again whenever the watch ends.

The keeper and the Kubernetes engine use it, each with its own client of the API server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from envctl.keeper.cluster.pod_status import uid
from envctl.keeper.cluster.protocol import Object, path_of

SILENCE = 90.0
"""Seconds without an event after which a watch is restarted, as its connection may be dead. Bookmarks arrive about once a minute."""
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the next attempt, after one failure, two failures and so on."""
LASTED = 5.0
"""Seconds that a watch has to last for its end not to count as a failure."""
P = TypeVar("P")


class Transport(Protocol):
    """A client of an API server."""

    def fetch(self, path: str, **query: str) -> Any:
        """Return the JSON of the resource at *path*."""

    def watch(self, path: str, silence: float, opened: Callable[[Callable[[], None]], None], **query: str) -> Iterator[Object]:
        """Yield the events of a watch until it ends.

        Args:
            silence: seconds without data after which the watch fails with an exception.
            opened: called with a function that ends the watch from any thread.
        """


class PodWatch(Generic[P]):
    """The pods of a namespace that match a label selector. P is the type of what is stored for each pod.

    Args:
        api: the client of the API server.
        namespace: the namespace, quoted for a URL.
        selector: the label selector.
        read: returns what is to be stored, from the JSON of a pod.
        changed: called in the thread of `follow` after each change, with the new and changed pods; with [] after a pod was deleted.
        gone: called before that with the last state of a deleted pod.

    Attributes:
        error: why the watch fails at the moment; empty while it works.
    """

    def __init__(
        self, api: Transport, namespace: str, selector: str, read: Callable[[Object], P], changed: Callable[[list[P]], None],
        gone: Callable[[P], None] = lambda pod: None,
    ) -> None:  # fmt: skip
        self._api, self._path, self._selector = api, path_of("v1", "Pod", namespace), selector
        self._read, self._changed, self._gone = read, changed, gone
        self._known: dict[str, P] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._hang_up: Callable[[], None] = lambda: None
        self.error = ""

    @property
    def known(self) -> dict[str, P]:
        """The known pods, by uid. They are kept while the watch fails."""
        with self._lock:
            return dict(self._known)

    def list(self) -> str:
        """List the pods; return the resource version from which to `follow`.

        Raises:
            Exception: any exception of the transport.
        """
        answer = self._api.fetch(self._path, labelSelector=self._selector)
        found = {uid(pod): self._read(pod) for pod in answer["items"]}
        with self._lock:
            self._known = found
        self.error = ""
        self._changed([*found.values()])
        return str(answer["metadata"]["resourceVersion"])

    def follow(self, version: str = "", patience: float | None = None) -> None:
        """Watch the pods until `stop` is called.

        Args:
            version: the resource version that `list` has returned; without it, the pods are listed first.
            patience: seconds of failures only, after which the last exception is raised; None to retry for ever.
        """
        failures, heard = 0, time.monotonic()
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                version = version or self.list()
                heard = time.monotonic()
                self._watch(version)
            except Exception as error:  # whatever breaks a connection
                self.error = str(error) or type(error).__name__
                if patience is not None and not self._stopped.is_set() and time.monotonic() - heard > patience:
                    raise
            version = ""
            if time.monotonic() - began > LASTED:
                failures = 0
            self._stopped.wait(PAUSES[min(failures, len(PAUSES) - 1)])
            failures += 1

    def doubt(self) -> None:
        """List the pods again, because the known ones may be wrong: a watch with a dead connection reports no changes."""
        self._hang_up()

    def stop(self) -> None:
        """End the watch; for any thread."""
        self._stopped.set()
        self._hang_up()

    def _opened(self, hang_up: Callable[[], None]) -> None:
        self._hang_up = hang_up
        if self._stopped.is_set():
            hang_up()

    def _watch(self, version: str) -> None:
        query = {"labelSelector": self._selector, "resourceVersion": version, "allowWatchBookmarks": "true"}
        for event in self._api.watch(self._path, SILENCE, self._opened, **query):
            if self._stopped.is_set():
                return
            self._take(event["type"], event["object"])

    def _take(self, what: str, pod: Object) -> None:
        found = [] if what == "DELETED" else [self._read(pod)]
        if not found:
            self._gone(self._read(pod))
        with self._lock:
            self._known.pop(uid(pod), None)
            self._known.update((uid(pod), each) for each in found)
        self._changed(found)
