"""The keeper's helper process for leases, resets and checkpoints, which imports the drivers of the servers.

The first request that needs the helper starts it, and so does the next request after it has ended.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from envctl.keeper.helpers import Helper, Helpers
from envctl.servers.http.wire import Refused

GONE = {"error": "the helper for data has ended; its log is keeper.log in the instance's state folder"}
LEASES = "leases.json"
"""The file in the instance's folder that lists the leases. If it exists, a new keeper starts the helper, so that the leases still end."""
PAUSE, LONG_PAUSE = 0.1, 1.0
"""Seconds before a helper that has failed is started again; the second applies if it was killed before it answered any request."""
SLACK = 30.0
"""Seconds to wait for an answer, in addition to those that the request itself may wait."""


class DataHelper:
    """The helper process; any thread may ask it.

    Args:
        argv: the helper's command, to which the descriptor of its channel is appended; empty if this keeper has no such helper.
        env: variables that are added to the keeper's own environment; None removes a variable.
    """

    def __init__(self, helpers: Helpers, argv: Sequence[str], env: Mapping[str, str | None]) -> None:
        self._helpers, self._argv, self._env = helpers, argv, env
        self._lock, self._numbers = threading.Lock(), itertools.count(1)
        self._helper: Helper | None = None
        self._useful = False
        self._waiting: dict[int, _Answer] = {}

    def ask(self, verb: str, patience: float = 0.0, **told: Any) -> tuple[int, Any]:
        """Send a request to the helper and return the HTTP status and the JSON body of its answer.

        Args:
            verb: the name of the request.
            patience: seconds that the request itself may wait.
            told: the arguments of the request.

        Raises:
            Refused: this keeper has no helper (501), the helper cannot be started (503), or it does not answer (504).
        """
        number, waiting = next(self._numbers), _Answer()
        helper = self._running()
        self._waiting[number] = waiting
        try:
            helper.send({"request": number, "verb": verb, **told})
            if not waiting.there.wait(patience + SLACK):
                raise Refused(504, "the helper for data does not answer")
        except OSError:
            raise Refused(503, GONE["error"]) from None
        finally:
            self._waiting.pop(number, None)
        return waiting.status, waiting.body

    def take_up(self, folder: str) -> None:
        """Start the helper if an earlier keeper has granted leases, so that they still end. *folder* is the instance's."""
        if self._argv and os.path.exists(os.path.join(folder, LEASES)):
            self._start()

    def _start(self) -> None:
        with suppress(Refused):  # the next request tries again, and reports the reason
            self._running()

    def _running(self) -> Helper:
        with self._lock:
            if self._helper is None or self._helper.over.is_set():
                if not self._argv:
                    raise Refused(501, "this keeper has no helper for data")
                try:
                    self._helper = Helper(self._helpers, "data", self._argv, self._env, told=self._told, ended=self._ended)
                except OSError as error:
                    raise Refused(503, f"the helper for data cannot be started: {error}") from None
            return self._helper

    def _told(self, message: dict[str, Any]) -> None:
        self._useful = True
        waiting = self._waiting.get(message["request"])
        if waiting is not None:
            waiting.give(message["status"], message["body"])

    def _ended(self, status: int | None) -> None:
        """Restart a helper that was killed or had answered before, and answer all open requests with GONE.

        The restart does not wait for a request, as the helper also makes and removes units by itself. A helper that fails by itself
        before its first answer would only fail again.
        """
        killed = status is not None and status < 0
        if status and (self._useful or killed):
            again = threading.Timer(PAUSE if self._useful else LONG_PAUSE, self._start)
            self._useful = False
            again.daemon = True
            again.start()
        for waiting in list(self._waiting.values()):
            waiting.give(503, GONE)


class _Answer:
    def __init__(self) -> None:
        self.there = threading.Event()
        self.status, self.body = 503, None

    def give(self, status: int, body: Any) -> None:
        self.status, self.body = status, body
        self.there.set()
