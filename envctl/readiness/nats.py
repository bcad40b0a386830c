"""NATS: the server greets with INFO, and answers CONNECT with its credentials and PING with PONG."""

from __future__ import annotations

import json

from envctl.readiness import NotReady, Target, Wire, shown


def probe(target: Target) -> None:
    """Raises NotReady with the server's words, OSError for no connection."""
    who = {"user": str(target.properties.get("username", "")), "pass": str(target.properties.get("password", ""))}
    with Wire(target) as wire:
        greeting = wire.line()
        if not greeting.startswith("INFO "):
            raise NotReady(f"not a NATS greeting: {shown(greeting)}")
        options = {**who, "verbose": False, "pedantic": False, "lang": "python", "version": "0", "name": "envctl"}
        wire.send(b"CONNECT " + json.dumps(options).encode() + b"\r\nPING\r\n")
        answer = wire.line()
        if answer != "PONG":
            raise NotReady(shown(answer))
