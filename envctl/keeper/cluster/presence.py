"""Check whether a keeper's instance still exists. Another machine may have removed it, and created another instance with the same id.

The instance's record in the cluster shows this. The keeper reads the record at first, when a pod is deleted, and every few seconds
while there is no pod.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from envctl.keeper.cluster.protocol import Refused, path_of

EVERY = 5.0
"""Seconds between two checks while the instance may be gone."""


def record_name(id: str) -> str:
    """Return the name of the Secret that contains the record of the instance *id*."""
    return f"{id}-instance"


class Presence:
    """The check whether an instance still exists.

    Args:
        fetch: returns the JSON at a path of the API server, or raises an exception.
        namespace: the namespace, quoted for a URL.
        id: the instance's id.
        empty: returns whether no pod of the instance is known.
        seen: whether an earlier keeper has already found the record.

    Attributes:
        gone: whether the record was deleted or replaced by that of another instance.
    """

    def __init__(self, fetch: Callable[[str], Any], namespace: str, id: str, empty: Callable[[], bool], seen: bool = False) -> None:
        self._fetch, self._path = fetch, path_of("v1", "Secret", namespace, record_name(id))
        self._empty, self._seen, self._uid = empty, seen, ""
        self._doubt, self._stopped = threading.Event(), False
        self.gone = False

    def follow(self, ended: Callable[[], None]) -> None:
        """Check until `stop` is called, the record can never be read, or the instance is gone. In the last case, call *ended*."""
        sure = self._look()
        while sure is not None and not self.gone:
            self._doubt.wait(None if sure and not self._empty() else EVERY)
            self._doubt.clear()
            if self._stopped:
                return
            sure = self._look()
        if self.gone:
            ended()

    def doubt(self) -> None:
        """Check again now."""
        self._doubt.set()

    def stop(self) -> None:
        """Make `follow` return; for any thread."""
        self._stopped = True
        self._doubt.set()

    def _look(self) -> bool | None:
        """Read the record and set `gone`. Return whether that worked; None if it never will (there is no record, or no permission)."""
        try:
            uid = str(self._fetch(self._path)["metadata"]["uid"])
        except Refused as error:
            self.gone = error.status == 404 and self._seen
            return None if error.status in (403, 404) else False
        except Exception:  # whatever breaks a connection
            return False
        self.gone = uid != (self._uid or uid)
        self._seen, self._uid = True, uid
        return True
