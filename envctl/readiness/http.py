"""HTTP: GET `path` answers with `status` (a number, a list of numbers, or `any`; without it any 2xx or 3xx)."""

from __future__ import annotations

import http.client
from collections.abc import Container
from contextlib import closing
from typing import Any

from envctl.readiness import NotReady, Target, foreign_errors, port_of, shown


def _expected(status: Any) -> Container[int]:
    if status is None:
        return range(200, 400)
    if status == "any":
        return range(100, 600)
    return [int(each) for each in status] if isinstance(status, list | tuple) else [int(status)]


def _ask(connection: http.client.HTTPConnection, path: str, status: Any) -> None:
    try:
        connection.request("GET", path if path.startswith("/") else f"/{path}", headers={"Connection": "close"})
        with connection.getresponse() as answer:
            got = answer.status, answer.reason
    except http.client.RemoteDisconnected:
        raise
    except (http.client.HTTPException, ValueError) as error:
        raise NotReady(f"no HTTP answer: {shown(error) or type(error).__name__}") from error
    if got[0] not in _expected(status):
        raise NotReady(f"GET {path} answered {got[0]} {got[1]}")


def probe(target: Target) -> None:
    """Raise NotReady for another status or an answer that is not HTTP, or OSError if there is no connection."""
    path = str(target.options.get("path") or "/")
    with closing(http.client.HTTPConnection(target.host, port_of(target), timeout=target.timeout)) as connection, foreign_errors():
        _ask(connection, path, target.options.get("status"))
