"""The HTTP API: a part of Mailpit's, with its paths, status codes and documents. docs/local.md lists the supported paths."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Any
from urllib.parse import quote, unquote

from ..http.message import Request, Response, text_response
from ..http.wire import Refused
from .inbox import Inbox
from .message import Message
from .search import Unsupported, search
from .smtp import Login

VERSION = "v1.33.1"
"""The version of Mailpit whose API is supported in part."""
_HINT = "envctl's own mail server does not support it; if `mailpit` is on PATH, envctl starts that instead"
_UNSAFE = ("text/html", "text/xml", "application/xhtml+xml", "image/svg+xml", "application/xml", "text/xsl")
_PAGE = 50


class Web:
    """The HTTP application for an inbox. All paths but the probes require a login if *login* is given."""

    def __init__(self, inbox: Inbox, login: Login | None) -> None:
        self._inbox, self._login = inbox, login

    def admit(self, request: Request) -> None:
        """Admit every request."""

    def refusal(self, status: int, words: str) -> Response:
        """Return the response to a request that is refused, or for which `answer` has failed."""
        return text_response(status, words)

    def answer(self, request: Request) -> Response:
        """Return the response to a request.

        Raises:
            Refused: the path is unknown, or the request is invalid or not supported.
        """
        if request.path in ("/livez", "/readyz"):
            return Response(200)
        if not self._may_enter(request):
            return Response(401, headers=(("WWW-Authenticate", 'Basic realm="Login"'),), body=b"Unauthorized.\n")
        method = "GET" if request.method == "HEAD" else request.method
        try:
            for route, handler in _ROUTES.items():
                if found := re.fullmatch(route.replace("{}", "([^/]+)"), f"{method} {request.path}"):
                    return handler(self, request, *map(unquote, found.groups()))
        except Unsupported as missing:
            raise Refused(501, f"The filter {missing}: {_HINT}\n") from None
        if request.path.startswith("/api/"):
            raise Refused(501, f"{request.method} {request.path}: {_HINT}\n")
        raise Refused(404, "404 page not found")

    def _may_enter(self, request: Request) -> bool:
        if self._login is None:
            return True
        scheme, _, token = "".join(request.header("Authorization")[:1]).partition(" ")
        try:
            name, _, password = base64.b64decode(token).partition(b":")
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and self._login(name, password)

    def _list(self, request: Request) -> Response:
        return self._page_of(self._inbox.all(), request)

    def _search(self, request: Request) -> Response:
        return self._page_of(self._found(_query(request)), request)

    def _page_of(self, found: Sequence[Message], request: Request) -> Response:
        everything, start, limit = self._inbox.all(), _number(request, "start", 0), _number(request, "limit", _PAGE)
        shown = found[start : start + limit] if limit else found
        document = {
            "total": len(everything),
            "unread": _unread(everything),
            "count": len(shown),
            "messages_count": len(found),
            "messages_unread": _unread(found),
            "start": start,
            "tags": [],
            "messages": [message.summary() for message in shown],
        }
        return _json(document)

    def _found(self, query: str) -> list[Message]:
        return search(self._inbox.all(), query)

    def _delete(self, request: Request) -> Response:
        try:
            ids = json.loads(request.body or b"{}").get("IDs")
        except (ValueError, AttributeError) as error:
            raise Refused(400, f"expected a JSON object: {error}") from None
        self._inbox.remove([message for message in self._inbox.all() if not ids or message.id in ids])
        return text_response(200, "ok")

    def _delete_found(self, request: Request) -> Response:
        self._inbox.remove(self._found(_query(request)))
        return text_response(200, "ok")

    def _one(self, request: Request, identity: str) -> Message:
        """Return the message with an id; for `latest` the newest message, or the newest that matches the parameter `query`."""
        if identity == "latest":
            found = self._found(_parameter(request, "query"))
        else:
            found = [message for message in self._inbox.all() if message.id == identity]
        if not found:
            raise Refused(404, "Message not found" if identity == "latest" else "404 page not found")
        return found[0]

    def _message(self, request: Request, identity: str) -> Response:
        message = self._one(request, identity)
        message.read = True
        return _json(message.document())

    def _headers(self, request: Request, identity: str) -> Response:
        return _json(self._one(request, identity).headers)

    def _raw(self, request: Request, identity: str) -> Response:
        return _content("text/plain; charset=utf-8", self._one(request, identity).raw)

    def _part(self, request: Request, identity: str, number: str) -> Response:
        part = next((part for part in self._one(request, identity).files if part.id == number), None)
        if part is None:
            raise Refused(404, "404 page not found")
        is_unsafe, name = part.kind in _UNSAFE, quote(part.name or part.content_id, safe="$&+:=@")
        disposition = ("Content-Disposition", f'{"attachment" if is_unsafe else "inline"}; filename="{name}"')
        return _content("application/octet-stream" if is_unsafe else part.kind, part.content, disposition)

    def _info(self, request: Request) -> Response:
        messages = self._inbox.all()
        document = {
            "Version": f"{VERSION} (envctl)",
            "LatestVersion": "disabled",
            "Database": "",
            "DatabaseSize": sum(len(message.raw) for message in messages),
            "Messages": len(messages),
            "Unread": _unread(messages),
            "Tags": {},
        }
        return _json(document)

    def _start(self, request: Request) -> Response:
        messages = self._inbox.all()
        page = f"<!doctype html><title>Mail ({len(messages)})</title><h1>Mail</h1>{''.join(map(_entry, messages)) or 'No message yet'}"
        return _content("text/html; charset=utf-8", page.encode("utf-8", "replace"))


def _entry(message: Message) -> str:
    """Return the HTML of a message in the list: sender, recipients and subject, with a folded text and links to source and files."""
    api = f"/api/v1/message/{message.id}"
    files = [(f"{api}/part/{part.id}", part.name or part.content_id or part.kind) for part in message.files]
    links = " ".join(f'<a href="{address}">{escape(name)}</a>' for address, name in [(f"{api}/raw", "source"), *files])
    title = f"{message.facts['From']['Address']} → {', '.join(message.recipients)}: {message.facts['Subject']}"
    return f"<details><summary>{escape(title)}</summary><pre>{escape(message.content.text)}</pre>{links}</details>"


def _unread(messages: Sequence[Message]) -> int:
    return sum(not message.read for message in messages)


def _parameter(request: Request, name: str) -> str:
    return request.query.get(name, [""])[0].strip()


def _number(request: Request, name: str, default: int) -> int:
    text = _parameter(request, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else default


def _query(request: Request) -> str:
    if not (query := _parameter(request, "query")):
        raise Refused(400, "Error: no search query")
    return query


def _content(kind: str, content: bytes, *headers: tuple[str, str]) -> Response:
    return Response(200, headers=(("Content-Type", kind), *headers), body=content)


def _json(value: Any) -> Response:
    return _content("application/json", json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))


_ROUTES: dict[str, Callable[..., Response]] = {
    "GET /": Web._start,
    "GET /api/v1/info": Web._info,
    "GET /api/v1/messages": Web._list,
    "DELETE /api/v1/messages": Web._delete,
    "GET /api/v1/search": Web._search,
    "DELETE /api/v1/search": Web._delete_found,
    "GET /api/v1/message/{}": Web._message,
    "GET /api/v1/message/{}/headers": Web._headers,
    "GET /api/v1/message/{}/raw": Web._raw,
    "GET /api/v1/message/{}/part/{}": Web._part,
}
