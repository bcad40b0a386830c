"""Limits of this very process, while it reads what a stranger has written."""

from __future__ import annotations

import resource
import signal
from contextlib import suppress
from types import FrameType

from envctl.errors import UsageError

MEMORY = 2 << 30
"""Bytes of address space; a child that reads a Compose file reserves far more than it uses."""
SECONDS = 60
"""Of the processor."""


def limit_this_process() -> None:
    """What comes is ended by an error where it would take all memory, or forever.

    Raises, later, wherever it happens:
        UsageError: the processor's time is used up.
        MemoryError: so is the memory.
    """
    signal.signal(signal.SIGXCPU, _out_of_time)
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS)):
        with suppress(OSError, ValueError):  # a tighter one is there
            hard = resource.getrlimit(what)[1]
            resource.setrlimit(what, (most, hard))


def _out_of_time(number: int, frame: FrameType | None) -> None:
    raise UsageError(f"the definition takes more than {SECONDS} s of the processor", hint="it is too large, or made to take long")
