"""The pods that carry a label, as the API server tells of them: listed, then watched, and listed anew whenever the watch ends.

The keeper and the engine use it, each with its own way to the API server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from envctl.keeper.cluster.pod_status import uid
from envctl.keeper.cluster.protocol import Object, path_of

SILENCE = 90.0
"""Seconds without a word after which a watch is begun anew: a connection may have died without one. Bookmarks come about each minute."""
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
LASTED = 5.0
"""Seconds after which the end of a watch is no failure."""
P = TypeVar("P")


class Transport(Protocol):
    """A way to one API server."""

    def fetch(self, path: str, **query: str) -> Any:
        """The JSON that is there."""

    def watch(self, path: str, silence: float, opened: Callable[[Callable[[], None]], None], **query: str) -> Iterator[Object]:
        """The events of a watch, until it ends, or *silence* seconds bring nothing (an error).

        Args:
            opened: told how any thread can end the watch.
        """


class PodWatch(Generic[P]):
    """
    Args:
        read: what is kept of a pod.
        changed: called after each change, in the thread that follows, with those that are new or other than before.
        gone: called before, with what was last known of one that is there no more.

    Attributes:
        error: why nothing is heard at the moment; empty where that is not so.
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
        """By uid. What is known stays so while nothing is heard."""
        with self._lock:
            return dict(self._known)

    def list(self) -> str:
        """Asks for all of them; the version from which to `follow`.

        Raises:
            Exception: that of the transport.
        """
        answer = self._api.fetch(self._path, labelSelector=self._selector)
        found = {uid(pod): self._read(pod) for pod in answer["items"]}
        with self._lock:
            self._known = found
        self.error = ""
        self._changed([*found.values()])
        return str(answer["metadata"]["resourceVersion"])

    def follow(self, version: str = "", patience: float | None = None) -> None:
        """Returns once it is stopped. Without the *version* of a list it begins with one.

        Args:
            patience: seconds of nothing but failures, after which the last of them is raised; None: it goes on for ever.
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
        """What is known may be wrong, since a watch whose connection died in silence tells nothing: they are listed anew."""
        self._hang_up()

    def stop(self) -> None:
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
