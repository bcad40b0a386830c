"""NATS: the server sends INFO, accepts CONNECT with the credentials, and answers PING with PONG."""

from __future__ import annotations

import json

from envctl.readiness import LoginRefused, NotReady, Target, Wire, shown


def probe(target: Target) -> None:
    """Raise NotReady with the server's message, or OSError if there is no connection."""
    user, password = (str(target.properties.get(name, "")) for name in ("username", "password"))
    # A name alone is a token, as in the URLs of NATS clients; a server with user names accepts it as a name.
    who = {"user": user, "pass": password} if password else {"user": user, "auth_token": user}
    with Wire(target) as wire:
        greeting = wire.line()
        if not greeting.startswith("INFO "):
            raise NotReady(f"not a NATS greeting: {shown(greeting)}")
        options = {**who, "verbose": False, "pedantic": False, "lang": "python", "version": "0", "name": "envctl"}
        wire.send(b"CONNECT " + json.dumps(options).encode() + b"\r\nPING\r\n")
        answer = wire.line()
        if answer != "PONG":
            raise (LoginRefused if "Authorization Violation" in answer else NotReady)(shown(answer))
