"""A container's own health check (Compose files, images): its engine runs it now and then, and we run it at our pace."""

from __future__ import annotations

import time

from envctl.readiness import NotReady, Target, shown

LONGEST_PAUSE = 2.0
"""Seconds. A check that starts a program for a second or two must not take the processor from the server that it asks."""


def probe(target: Target) -> None:
    """Raises NotReady with the last of what the check printed."""
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
