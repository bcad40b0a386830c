"""Regular expressions of mappings, with a time limit. Python can take practically for ever, and blocks all other threads that long.

A match can be interrupted only by a signal, and only in the main thread. So the main thread does the matching for all other threads,
and a timer's signal ends a match that takes too long.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple, NoReturn

SECONDS = 1.0
"""The time limit of a match, in seconds."""
Job = Callable[[], Any]
_jobs: SimpleQueue[tuple[Job, SimpleQueue[Any]]] = SimpleQueue()
_matching: list[bool] = []
"""Not empty once the main thread does the matching for all threads."""


class TooLong(Exception):
    """Matching an expression has exceeded the time limit."""


class Expression(NamedTuple):
    """A compiled regular expression with a time limit."""

    compiled: re.Pattern[str]

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """Match the whole text.

        Raises:
            TooLong: the match has exceeded the time limit.
        """

        def job() -> re.Match[str] | None:
            return self.compiled.fullmatch(text)

        if not _matching or len(re.findall(r"[*+{]", self.compiled.pattern)) < 2:  # with only one repetition, a match is never slow
            return job()
        answer: SimpleQueue[Any] = SimpleQueue()
        _jobs.put((job, answer))
        if (found := answer.get()) is TooLong:
            raise TooLong(f"the regular expression {self.compiled.pattern!r} took longer than {SECONDS:g} s")
        return found  # type: ignore[no-any-return]


def match_for_all() -> NoReturn:
    """Do the matching for all threads from now on. Call this in the main thread."""
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
