"""The keeper's side of one supervisor: starting it, asking it, noticing that it is gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from envctl.keeper import marks
from envctl.keeper.channel import Channel


class Link:
    """A running supervisor.

    Args:
        ended: told (name, status) for every process that has ended.
        lost: called once when the supervisor is gone, before those who wait for an answer get None.
    """

    def __init__(self, mark: str, ended: Callable[[str, int], None], lost: Callable[[Link], None]) -> None:
        self._ended, self._lost = ended, lost
        self._lock = threading.Lock()
        self._calls: dict[int, _Call] | None = {}
        self._last = 0
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = _launch(mark, theirs.fileno())
        self._channel = Channel(ours)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(
        self, do: str, then: Callable[[dict[str, Any]], None] | None = None, patience: float | None = None, **message: Any
    ) -> dict[str, Any] | None:
        """The answer; None when the supervisor went without one.

        Args:
            then: told of the answer before anything that came after it.
            patience: seconds after which a supervisor that does not answer is killed.
        """
        with self._lock:
            if self._calls is None:
                return None
            self._last += 1
            id, call = self._last, _Call(then)
            self._calls[id] = call
        with suppress(OSError):  # the reader notices as well, and answers
            self._channel.send({"do": do, "id": id, **message})
        if not call.done.wait(patience):
            self.process.kill()
            call.done.wait()
        return call.answer

    def close(self) -> None:
        """The supervisor kills what it has, and ends; `lost` has done its part, which takes the keeper's later children for strays."""
        with suppress(OSError):  # it has been closed
            self._channel.stream.shutdown(socket.SHUT_RDWR)
        self.process.wait()
        self._reader.join()

    def _read(self) -> None:
        while (messages := self._channel.receive()) is not None:
            for message in messages:
                self._take(message)
        self.process.wait()
        self._lost(self)
        with self._lock:
            calls, self._calls = self._calls or {}, None
        for call in calls.values():
            call.done.set()
        self._channel.stream.close()

    def _take(self, message: dict[str, Any]) -> None:
        if "end" in message:
            self._ended(message["end"], message["status"])
            return
        with self._lock:
            call = (self._calls or {}).pop(message["id"])
        call.answer = message
        if call.then:
            call.then(message)
        call.done.set()


class _Call:
    def __init__(self, then: Callable[[dict[str, Any]], None] | None) -> None:
        self.then, self.done = then, threading.Event()
        self.answer: dict[str, Any] | None = None


def _launch(mark: str, descriptor: int) -> subprocess.Popen[bytes]:
    # UTF-8: the names and values of variables reach the program as the bytes they were, whatever the locale.
    command = [sys.executable, "-I", "-S", "-X", "utf8", os.path.dirname(os.path.abspath(__file__)), "--supervisor", str(descriptor)]
    env = {name: value for name, value in os.environ.items() if name not in (marks.MARK, marks.PROCESS)}
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, pass_fds=[descriptor], cwd="/", env=env | {marks.SUPERVISOR: mark}, start_new_session=True
    )
