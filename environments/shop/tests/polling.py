"""Waiting for what happens later: asked again until it is there, with a deadline instead of a sleep that is a guess."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], what: str, seconds: float = 15.0) -> T:
    """The first truthy answer of `look`."""
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, f"no {what} within {seconds:g} s; the last answer was {answer!r}"
        time.sleep(0.05)
    return answer
