"""Wait for an asynchronous result by polling with a deadline, instead of sleeping for a guessed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], what: str, seconds: float = 15.0) -> T:
    """Return the first truthy result of *look*; fail after *seconds*."""
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, f"no {what} within {seconds:g} s; the last answer was {answer!r}"
        time.sleep(0.05)
    return answer
