"""Whether the instance is still there that a keeper is for: another machine may have removed it, and made another one of its id.

Its record in the cluster tells: it is asked for at first, when a pod goes, and again and again while there is none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from envctl.keeper.cluster.protocol import Refused, path_of

EVERY = 5.0
"""Seconds between two looks while there is a doubt."""


def record_name(id: str) -> str:
    """Of the Secret that holds an instance's record."""
    return f"{id}-instance"


class Presence:
    """
    Args:
        fetch: gives the JSON at a path of the API server, or raises.
        namespace: as it stands in a path.
        empty: whether no pod is known.
        seen: an earlier keeper has found it there.

    Attributes:
        gone: its record is not there any more, or another one is.
    """

    def __init__(self, fetch: Callable[[str], Any], namespace: str, id: str, empty: Callable[[], bool], seen: bool = False) -> None:
        self._fetch, self._path = fetch, path_of("v1", "Secret", namespace, record_name(id))
        self._empty, self._seen, self._uid = empty, seen, ""
        self._doubt, self._stopped = threading.Event(), False
        self.gone = False

    def follow(self, ended: Callable[[], None]) -> None:
        """Returns once it is stopped, nobody may look, or it is gone, which *ended* is told."""
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
        self._doubt.set()

    def stop(self) -> None:
        self._stopped = True
        self._doubt.set()

    def _look(self) -> bool | None:
        """Whether somebody could tell; None where nobody ever will."""
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
