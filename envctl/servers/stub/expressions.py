"""Regular expressions of mappings, with a limit: Python's engine takes for ever over some, and nobody else runs meanwhile.

It heeds signals while it matches, in the main thread alone: that one matches for all others, and a timer ends what takes too long.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple, NoReturn

SECONDS = 1.0
Job = Callable[[], Any]
_jobs: SimpleQueue[tuple[Job, SimpleQueue[Any]]] = SimpleQueue()
_matching: list[bool] = []
"""Something once the main thread matches for all others."""


class TooLong(Exception):
    """An expression has taken too long over a text."""


class Expression(NamedTuple):
    """What is used of a compiled one."""

    compiled: re.Pattern[str]

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """Raises TooLong."""

        def job() -> re.Match[str] | None:
            return self.compiled.fullmatch(text)

        if not _matching or len(re.findall(r"[*+{]", self.compiled.pattern)) < 2:  # one repeat cannot take long
            return job()
        answer: SimpleQueue[Any] = SimpleQueue()
        _jobs.put((job, answer))
        if (found := answer.get()) is TooLong:
            raise TooLong(f"the regular expression {self.compiled.pattern!r} has taken longer than {SECONDS:g} s over it")
        return found  # type: ignore[no-any-return]


def match_for_all() -> NoReturn:
    """What the main thread does from now on."""
    signal.signal(signal.SIGALRM, _ring)
    _matching.append(True)
    while True:
        job, answer = _jobs.get()
        answer.put(_within_limit(job))


def _within_limit(job: Job) -> Any:
    try:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            return job()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except TooLong:
        return TooLong


def _ring(number: int, frame: object) -> NoReturn:
    raise TooLong
