"""What requests give, and answers in the forms that Mailpit has."""

from __future__ import annotations

import json
from typing import Any

from ..http.message import Request, Response
from ..http.wire import Refused


def parameter(request: Request, name: str) -> str:
    """A parameter of the query; empty where it is not given."""
    return next(iter(request.query.get(name, ())), "").strip()


def number_of(request: Request, name: str, default: int) -> int:
    """A parameter that is a number; anything else is the default."""
    text = parameter(request, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else default


def query_of(request: Request) -> str:
    """What is searched for.

    Raises:
        Refused: nothing is.
    """
    if not (query := parameter(request, "query")):
        raise Refused(400, "Error: no search query")
    return query


def body_of(request: Request) -> dict[str, Any]:
    """The JSON object in the body.

    Raises:
        Refused: there is none.
    """
    try:
        found = json.loads(request.body)
    except ValueError as error:
        raise Refused(400, str(error)) from None
    if not isinstance(found, dict):
        raise Refused(400, "expected a JSON object")
    return found


def content_type(value: str) -> tuple[str, str]:
    """The header."""
    return ("Content-Type", value)


def json_answer(value: Any) -> Response:
    """A document, with 200."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return Response(200, headers=(content_type("application/json"),), body=body + b"\n")


def html_answer(page: str) -> Response:
    """A page, with 200."""
    return Response(200, headers=(content_type("text/html; charset=utf-8"),), body=page.encode("utf-8", "replace"))


def text_answer(status: int, text: str, *headers: tuple[str, str]) -> Response:
    """Plain text."""
    return Response(status, headers=(*headers, content_type("text/plain; charset=utf-8")), body=text.encode("utf-8", "replace"))
