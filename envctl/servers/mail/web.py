"""The HTTP side: Mailpit's routes, status codes and documents. docs/local.md says which of them there are."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

from ..http.message import Request, Response
from ..http.wire import Refused
from .answers import body_of, content_type, html_answer, json_answer, number_of, parameter, query_of, text_answer
from .inbox import Inbox
from .message import Message
from .page import render
from .passwords import Passwords, matches
from .search import Unsupported, search

VERSION = "v1.33.1"
"""The version of Mailpit whose API this is a part of."""
_HINT = "envctl's own mail server does not have it; where `mailpit` is on PATH, that runs"
_UNSAFE = ("text/html", "text/xml", "application/xhtml+xml", "image/svg+xml", "application/xml", "text/xsl")
_PAGE = 50


class Web:
    """Answers requests about an inbox; the probes are open, the rest asks for a login where there are passwords."""

    def __init__(self, inbox: Inbox, passwords: Passwords | None) -> None:
        self._inbox = inbox
        self._passwords = passwords

    def admit(self, request: Request) -> None:
        """Every body is read."""

    def refusal(self, status: int, words: str) -> Response:
        """The answer to a request that is refused, or that made `answer` fail."""
        return text_answer(status, words)

    def answer(self, request: Request) -> Response:
        """The response to a request."""
        if request.path in ("/livez", "/readyz"):
            return Response(200)
        if not self._may_enter(request):
            return text_answer(401, "Unauthorized.\n", ("WWW-Authenticate", 'Basic realm="Login"'))
        method = "GET" if request.method == "HEAD" else request.method
        try:
            for route, handler in _ROUTES.items():
                if found := re.fullmatch(route, f"{method} {request.path}"):
                    return handler(self, request, *map(unquote, found.groups()))
        except Unsupported as missing:
            return text_answer(501, f"The filter {missing}: {_HINT}\n")
        if request.path.startswith("/api/"):
            return text_answer(501, f"{request.method} {request.path}: {_HINT}\n")
        return text_answer(404, "404 page not found")

    def _may_enter(self, request: Request) -> bool:
        if self._passwords is None:
            return True
        scheme, _, token = next(iter(request.header("Authorization")), "").partition(" ")
        try:
            name, _, password = base64.b64decode(token).partition(b":")
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and matches(self._passwords, name, password)

    # Lists

    def _list(self, request: Request) -> Response:
        messages, start, limit = self._inbox.all(), number_of(request, "start", 0), number_of(request, "limit", _PAGE)
        shown = messages[start : start + limit] if limit else messages
        return self._summaries(messages, [message.summary() for message in shown], start)

    def _search(self, request: Request) -> Response:
        found, start, limit = self._found(query_of(request)), number_of(request, "start", 0), number_of(request, "limit", _PAGE)
        # Only a search says null where there is no Reply-To.
        shown = [message.summary() | {"ReplyTo": message.content["ReplyTo"] or None} for message in found[start : start + limit]]
        return self._summaries(found, shown, start)

    def _summaries(self, found: Sequence[Message], shown: Sequence[dict[str, Any]], start: int) -> Response:
        everything = self._inbox.all()
        document = {
            "total": len(everything),
            "unread": _unread(everything),
            "count": len(shown),
            "messages_count": len(found),
            "messages_unread": _unread(found),
            "start": start,
            "tags": [],
            "messages": shown,
        }
        return json_answer(document)

    def _found(self, query: str) -> list[Message]:
        return search(self._inbox.all(), query)

    def _set_read(self, request: Request) -> Response:
        given = body_of(request)
        ids, query = given.get("IDs") or [], given.get("Search") or ""
        if ids and query:
            raise Refused(400, "You may specify either IDs or a search query, not both")
        for message in self._found(query):
            if not ids or message.id in ids:
                message.read = bool(given.get("Read"))
        return text_answer(200, "ok")

    def _delete(self, request: Request) -> Response:
        ids = (body_of(request) if request.body.strip() else {}).get("IDs") or []
        self._inbox.remove([message for message in self._inbox.all() if not ids or message.id in ids])
        return text_answer(200, "ok")

    def _delete_found(self, request: Request) -> Response:
        self._inbox.remove(self._found(query_of(request)))
        return text_answer(200, "ok")

    # One message

    def _one(self, request: Request, identity: str) -> Message:
        """By its id; `latest` is the newest, or the newest that the query finds."""
        if identity == "latest":
            found = self._found(parameter(request, "query"))
            if not found:
                raise Refused(404, "Message not found")
            return found[0]
        found = [message for message in self._inbox.all() if message.id == identity]
        if not found:
            raise Refused(404, "404 page not found")
        return found[0]

    def _read(self, request: Request, identity: str) -> Message:
        message = self._one(request, identity)
        message.read = True
        return message

    def _message(self, request: Request, identity: str) -> Response:
        return json_answer(self._read(request, identity).document())

    def _headers(self, request: Request, identity: str) -> Response:
        return json_answer(self._one(request, identity).headers)

    def _raw(self, request: Request, identity: str) -> Response:
        message = self._one(request, identity)
        saved = (("Content-Disposition", f'attachment; filename="{message.id}.eml"'),) if parameter(request, "dl") == "1" else ()
        return Response(200, headers=(content_type("text/plain; charset=utf-8"), *saved), body=message.raw)

    def _part(self, request: Request, identity: str, number: str) -> Response:
        part = self._one(request, identity).part(number)
        if part is None:
            raise Refused(404, "404 page not found")
        unsafe = part.kind in _UNSAFE
        name = quote(part.name or part.content_id, safe="$&+:=@")
        disposition = ("Content-Disposition", f'{"attachment" if unsafe else "inline"}; filename="{name}"')
        return Response(200, headers=(content_type("application/octet-stream" if unsafe else part.kind), disposition), body=part.content)

    def _view_text(self, request: Request, identity: str) -> Response:
        return text_answer(200, self._read(request, identity).text)

    def _view_html(self, request: Request, identity: str) -> Response:
        message = self._read(request, identity)
        if not message.html:
            raise Refused(404, "This message does not contain a HTML part")
        html = message.html
        for part in (part for part in [*message.inline, *message.attachments] if part.content_id):
            image = re.compile(rf"(=[\"']?)cid:{re.escape(part.content_id)}(?=[\"'\s/>;])", re.IGNORECASE)
            html = image.sub(rf"\g<1>/api/v1/message/{message.id}/part/{part.id}", html)
        return html_answer(html)

    # The server itself

    def _info(self, request: Request) -> Response:
        inbox, messages = self._inbox, self._inbox.all()
        statistics = {
            "Uptime": int((datetime.now(UTC) - inbox.started).total_seconds()),
            "Memory": 0,
            "MessagesDeleted": inbox.deleted,
            "SMTPAccepted": inbox.accepted,
            "SMTPAcceptedSize": inbox.accepted_size,
            "SMTPRejected": 0,
            "SMTPIgnored": 0,
        }
        document = {
            "Version": f"{VERSION} (envctl)",
            "LatestVersion": "disabled",
            "Database": "",
            "DatabaseSize": sum(len(message.raw) for message in messages),
            "Messages": len(messages),
            "Unread": _unread(messages),
            "Tags": {},
            "RuntimeStats": statistics,
        }
        return json_answer(document)

    def _page(self, request: Request) -> Response:
        return html_answer(render(self._inbox.all()))


def _unread(messages: Sequence[Message]) -> int:
    return sum(not message.read for message in messages)


_ROUTES: dict[str, Callable[..., Response]] = {
    r"GET /": Web._page,
    r"GET /view/([^/.]+)\.txt": Web._view_text,
    r"GET /view/([^/.]+)\.html": Web._view_html,
    r"GET /api/v1/info": Web._info,
    r"GET /api/v1/messages": Web._list,
    r"PUT /api/v1/messages": Web._set_read,
    r"DELETE /api/v1/messages": Web._delete,
    r"GET /api/v1/search": Web._search,
    r"DELETE /api/v1/search": Web._delete_found,
    r"GET /api/v1/message/([^/]+)": Web._message,
    r"GET /api/v1/message/([^/]+)/headers": Web._headers,
    r"GET /api/v1/message/([^/]+)/raw": Web._raw,
    r"GET /api/v1/message/([^/]+)/part/([^/]+)": Web._part,
}
