"""Memcached: the server answers with its version."""

from __future__ import annotations

from envctl.readiness import NotReady, Target, Wire, shown


def probe(target: Target) -> None:
    """Raise NotReady for another answer, or OSError if there is no connection."""
    with Wire(target) as wire:
        wire.send(b"version\r\n")
        answer = wire.line()
        if not answer.startswith("VERSION "):
            raise NotReady(f"not an answer of Memcached: {shown(answer)}")
