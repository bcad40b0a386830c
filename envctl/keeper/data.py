"""The helper that knows servers and their drivers: started when the first request is for it, and again after its end."""

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
"""In the instance's folder, once there was a lease: somebody has to see to it that it ends."""
PAUSE, LONG_PAUSE = 0.1, 1.0
"""Seconds before a helper that was killed is started again, and before one that was killed before it had answered anybody."""
SLACK = 30.0
"""Seconds for an answer beyond those that the request itself may wait."""


class DataHelper:
    """
    Args:
        argv: of the program, without the descriptor of its channel; empty where there is none.
    """

    def __init__(self, helpers: Helpers, argv: Sequence[str], env: Mapping[str, str | None]) -> None:
        self._helpers, self._argv, self._env = helpers, argv, env
        self._lock, self._numbers = threading.Lock(), itertools.count(1)
        self._helper: Helper | None = None
        self._useful = False
        self._waiting: dict[int, _Answer] = {}

    def ask(self, verb: str, patience: float = 0.0, **told: Any) -> tuple[int, Any]:
        """Status and body of the answer.

        Args:
            patience: seconds that the request itself may wait.

        Raises:
            Refused: there is nobody who could answer.
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
        """Of a keeper before this one: its leases go on, and end."""
        if self._argv and os.path.exists(os.path.join(folder, LEASES)):
            self._start()

    def _start(self) -> None:
        with suppress(Refused):  # the next request tries again, and says why
            self._running()

    def _running(self) -> Helper:
        with self._lock:
            if self._helper is None or self._helper.over.is_set():
                if not self._argv:
                    raise Refused(501, "this keeper knows no helper for data")
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
        """What was killed comes back: units are made and taken back without anybody asking. What fails before it ever answers does not."""
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
