"""Questions to a helper, each answered once: over its channel, by the number that both carry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from envctl.keeper.helpers import Helper, Helpers


class Dialogue:
    """A helper that runs once, and is asked.

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
