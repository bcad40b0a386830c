"""The wait until a service is ready. No other module retries."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from envctl.readiness import LoginRefused, NotReady, Probe, Target

if TYPE_CHECKING:
    from tenacity import RetryCallState

FIRST_WAIT, LONGEST_WAIT = 0.025, 0.25
"""The first and the longest pause between attempts, in seconds: the first is short, so that a quick server is noticed at once."""
PASSES = 2
KEPT = 12


def probe_named(name: str) -> Probe:
    """Return the probe of the module *name*, which is imported when it is first used."""
    probe: Probe = import_module(f"envctl.readiness.{name}").probe
    return probe


@dataclass
class History:
    """The results of the probes; repeated lines are counted."""

    began: float = field(default_factory=time.monotonic)
    lines: list[tuple[float, str, int]] = field(default_factory=list)
    refused: float | None = None
    """The time (of `time.monotonic`) since which the server has only refused the credentials; None if its last answer was another one."""

    @property
    def refused_seconds(self) -> float:
        """The seconds since the server has only refused the credentials; 0 if its last answer was another one."""
        return 0.0 if self.refused is None else time.monotonic() - self.refused

    def add(self, text: str) -> None:
        """Add the result *text*; if it is the same as the last one, count it."""
        at = time.monotonic() - self.began
        if self.lines and self.lines[-1][1] == text:
            self.lines[-1] = (self.lines[-1][0], text, self.lines[-1][2] + 1)
        else:
            self.lines.append((at, text, 1))

    def shown(self) -> tuple[str, ...]:
        """Return the last `KEPT` lines, each with its time in seconds."""
        return tuple(f"{at:6.2f} s  {text}" + (f"  ({count} times)" if count > 1 else "") for at, text, count in self.lines[-KEPT:])


def wait_until_ready(
    checks: Sequence[tuple[str, Target]], history: History, given_up: Callable[[RetryCallState], bool], passes: int = PASSES
) -> None:
    """Return when all *checks* have passed *passes* times in a row.

    Args:
        checks: the names of probes and their targets.
        history: receives the result of each failed attempt.
        given_up: Tenacity's `stop`: returns True if further attempts make no sense.

    Raises:
        NotReady: the last attempt failed, and *given_up* returned True.
    """
    from tenacity import Retrying, retry_if_exception_type, wait_exponential  # late, so that it does not delay the start of servers

    probes = [(name, probe_named(name), target) for name, target in checks]

    def attempt() -> None:
        for name, probe, target in probes:
            try:
                probe(target)
            except (NotReady, OSError) as error:
                words = f"{name}: {str(error) or type(error).__name__}"
                history.add(words)
                history.refused = (history.refused or time.monotonic()) if isinstance(error, LoginRefused) else None
                raise (LoginRefused if isinstance(error, LoginRefused) else NotReady)(words) from None

    retrying = Retrying(
        retry=retry_if_exception_type(NotReady),
        wait=wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT, exp_base=1.5),
        stop=given_up,
        reraise=True,
    )
    for number in range(passes):
        retrying(attempt)
        if number + 1 < passes:
            time.sleep(FIRST_WAIT)
