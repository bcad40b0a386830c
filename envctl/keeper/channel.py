"""JSON lines over a socket, between the keeper and one of its helpers; and questions over it, each answered once."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envctl.keeper.helpers import Helper, Helpers

CHUNK = 1 << 16


class Channel:
    """One end; whole messages in both directions."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._sending = threading.Lock()
        self._begun = b""

    def send(self, message: dict[str, Any]) -> None:
        with self._sending:
            self._stream.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> list[dict[str, Any]] | None:
        """What has arrived, after waiting for something; None once the other end is closed."""
        try:
            data = self._stream.recv(CHUNK)
        except OSError:
            return None
        if not data:
            return None
        *lines, self._begun = (self._begun + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def shut(self) -> None:
        """Both ends read its end from now on."""
        with suppress(OSError):  # the other side was faster
            self._stream.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._stream.close()


class Dialogue:
    """A helper that runs once, and is asked; a question and its answer carry the same number.

    Args:
        told: called with each message that answers nothing.
        lost: called once when the helper is gone, before those who wait for an answer get None.
    """

    def __init__(
        self,
        helpers: Helpers,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str | None],
        told: Callable[[dict[str, Any]], None],
        lost: Callable[[], None],
    ) -> None:
        self._tell, self._lost = told, lost
        self._lock = threading.Lock()
        self._questions: dict[int, _Question] | None = {}
        self._last = 0
        self.helper: Helper = helpers.start(name, argv, env, told=self._take, ended=self._ended)

    def ask(
        self, do: str, then: Callable[[dict[str, Any]], None] | None = None, patience: float | None = None, **message: Any
    ) -> dict[str, Any] | None:
        """The answer; None when the helper went without one.

        Args:
            then: told of the answer before anything that came after it.
            patience: seconds after which a helper that does not answer is killed.
        """
        with self._lock:
            if self._questions is None:
                return None
            self._last += 1
            id, question = self._last, _Question(then)
            self._questions[id] = question
        with suppress(OSError):  # whoever follows it notices as well, and answers
            self.helper.send({"do": do, "id": id, **message})
        if not question.done.wait(patience):
            self.helper.kill()
            question.done.wait()
        return question.answer

    def _take(self, message: dict[str, Any]) -> None:
        if "id" not in message:
            self._tell(message)
            return
        with self._lock:
            question = (self._questions or {}).pop(message["id"])
        question.answer = message
        if question.then:
            question.then(message)
        question.done.set()

    def _ended(self, _status: int | None) -> None:
        self._lost()
        with self._lock:
            questions, self._questions = self._questions or {}, None
        for question in questions.values():
            question.done.set()


class _Question:
    def __init__(self, then: Callable[[dict[str, Any]], None] | None) -> None:
        self.then, self.done = then, threading.Event()
        self.answer: dict[str, Any] | None = None
