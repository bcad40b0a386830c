"""A container's own health check (Compose files): its engine runs it, we read the result."""

from __future__ import annotations

from envctl.readiness import NotReady, Target


def probe(target: Target) -> None:
    health = target.health()
    if health != "healthy":
        raise NotReady(f"its health check says {health or 'nothing yet'}")
