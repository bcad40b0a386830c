"""Valkey and Redis (RESP): the login and `query`, written as for their clients (`PING` without it), succeed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from envctl.readiness import LoginRefused, NotReady, Target, Wire, shown

_REFUSED = ("-WRONGPASS", "-NOAUTH", "-ERR AUTH ")


def _command(words: Sequence[str]) -> bytes:
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


def _ask(wire: Wire, words: Sequence[str]) -> None:
    wire.send(_command(words))
    answer = wire.line()
    if not answer or answer[0] not in "+-:$*%~_#,":
        raise NotReady(f"not an answer of Redis: {shown(answer)}")
    if answer[0] == "-":
        raise (LoginRefused if answer.startswith(_REFUSED) else NotReady)(shown(answer[1:]))


def probe(target: Target) -> None:
    """Raise NotReady with the server's message (it may still load its data), or OSError if there is no connection."""
    user, password = target.properties.get("username"), target.properties.get("password")
    with Wire(target) as wire:
        if password:
            _ask(wire, ["AUTH", *([str(user)] if user else []), str(password)])
        _ask(wire, shlex.split(str(target.options.get("query") or "PING")))
