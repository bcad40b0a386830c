"""Limit the memory and the processor time of this process while it reads untrusted text."""

from __future__ import annotations

import resource
import signal
from contextlib import suppress
from types import FrameType

from envctl.errors import UsageError

MEMORY = 2 << 30
"""The maximum address space in bytes. It is large because a child that reads a Compose file reserves far more than it uses."""
SECONDS = 60
"""The maximum processor time in seconds."""


def limit_this_process() -> None:
    """Limit this process from now on; exceeding a limit raises an error.

    Raises, later, in the code that exceeds the limit:
        UsageError: the processor time is used up.
        MemoryError: the memory is used up.
    """
    signal.signal(signal.SIGXCPU, _out_of_time)
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS)):
        with suppress(OSError, ValueError):  # a tighter limit is already set
            hard = resource.getrlimit(what)[1]
            resource.setrlimit(what, (most, hard))


def _out_of_time(number: int, frame: FrameType | None) -> None:
    raise UsageError(f"the definition takes more than {SECONDS} s of processor time", hint="it is too large, or was written to take long")
