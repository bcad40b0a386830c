"""The health check of a container (from a Compose file or an image). The engine runs it rarely, so the probe runs it more often."""

from __future__ import annotations

import time

from envctl.readiness import NotReady, Target, shown

LONGEST_PAUSE = 2.0
"""The maximum pause in seconds. A check that starts a program for a second or two must leave processor time to the server."""


def probe(target: Target) -> None:
    """Raise NotReady with the last line that the check printed."""
    health, command = target.health()
    if health == "healthy":
        return
    if not command:
        raise NotReady(f"its health check says {health or 'nothing yet'}")
    began = time.monotonic()
    status, output = target.run(command)
    if status:
        time.sleep(min(time.monotonic() - began, LONGEST_PAUSE))
        last = output.strip().splitlines()[-1:] or ["it printed nothing"]
        raise NotReady(f"its health check ended with {status}: {shown(last[0])}")
