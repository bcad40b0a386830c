"""The HTTP side: MailDev's routes, status codes and messages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

from ..stub.message import Headers, Request, Response
from .cleaning import clean
from .inbox import Inbox, Stored
from .page import render
from .query import select
from .smtp import Credentials
from .words import from_base64

_VERSION = "2.2.1"
_IN_ADDRESSES = "%/:?#[]@!$&'()*+,;="
_ANY_ORIGIN = ("Access-Control-Allow-Origin", "*")
_ADDRESS = re.compile(r"[^<>()\[\]\\.,;:\s@\"]+(\.[^<>()\[\]\\.,;:\s@\"]+)*@([a-zA-Z\-0-9]+\.)+[a-zA-Z]{2,}")


class Web:
    """Answers requests about an inbox; `/healthz` is open, the rest asks for the credentials where there are any."""

    def __init__(self, inbox: Inbox, smtp_port: int, credentials: Credentials | None) -> None:
        self._inbox = inbox
        self._smtp_port = smtp_port
        self._credentials = credentials

    def answer(self, request: Request) -> Response:
        """The response to a request."""
        if request.path != "/healthz" and not self._may_enter(request):
            challenge = ("WWW-Authenticate", 'Basic realm="Authentication required"')
            return Response(401, headers=(challenge, _type("text/html; charset=utf-8")), body=b"Unauthorized")
        if request.method == "OPTIONS":
            return Response(204, headers=(_ANY_ORIGIN, ("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE")))
        response = self._routed(request)
        return replace(response, headers=(*response.headers, _ANY_ORIGIN))

    def _may_enter(self, request: Request) -> bool:
        if not self._credentials:
            return True
        given = next(iter(request.header("Authorization")), "")[6:]
        name, _, password = from_base64(given).decode("utf-8", "replace").partition(":")
        # MailDev itself looks no further than the next colon.
        return (name, password.partition(":")[0]) == self._credentials

    def _routed(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        target = f"{method} {request.path.rstrip('/') or '/'}"
        for route, handler in _ROUTES.items():
            if found := re.fullmatch(route, target, re.IGNORECASE):
                return handler(self, request, *(unquote(part) for part in found.groups() if part is not None))
        return _error_page(404, f"Cannot {request.method} {quote(request.path, safe=_IN_ADDRESSES)}")

    def _page(self, request: Request) -> Response:
        return _html(render(self._inbox.all(), next(iter(request.query.get("id", ())), "")))

    def _list(self, request: Request) -> Response:
        return _json(select([message.document for message in self._inbox.all()], request.query))

    def _one(self, request: Request, identity: str) -> Response:
        message = self._cleaned(identity)
        if not message:
            return _not_found()
        message.document["read"] = True
        return _json(message.document)

    def _cleaned(self, identity: str) -> Stored | None:
        """A message whose HTML is made harmless for good by whoever asks for it first."""
        message = self._inbox.get(identity)
        if message and "html" in message.document and not message.cleaned:
            message.document["html"] = clean(message.document["html"])
            message.cleaned = True
        return message

    def _html_of(self, request: Request, identity: str) -> Response:
        message = self._cleaned(identity)
        if not message:
            return _not_found()
        page, attached = message.document.get("html"), message.document["attachments"]
        if page is None:
            return _error_page(500, "Internal Server Error") if attached else Response(200)
        base = f"//{next(iter(request.header('Host')), '')}/email/{identity}/attachment/"
        for one in attached or ():
            address = f'src="{base}{quote(one["generatedFileName"])}"'
            page = re.sub(rf"src=[\"']cid:{re.escape(one['contentId'])}[\"']", address.replace("\\", r"\\"), page)
        return _html(page)

    def _attachment(self, request: Request, identity: str, name: str) -> Response:
        message = self._cleaned(identity)
        found = [one for one in message.document["attachments"] or () if one["generatedFileName"] == name] if message else []
        if not message or not found:
            return _json("File not found", 404)
        return Response(200, headers=(_type(_with_charset(found[0].get("contentType", ""))),), body=message.files[name])

    def _download(self, request: Request, identity: str) -> Response:
        message = self._cleaned(identity)
        if not message:
            return _json("File not found", 404)
        name = ("Content-Disposition", f"attachment; filename={identity}.eml")
        return Response(200, headers=(name, _type("message/rfc822")), body=message.raw)

    def _source(self, request: Request, identity: str) -> Response:
        message = self._cleaned(identity)
        return Response(200, body=message.raw) if message else _json("File not found", 404)

    def _delete(self, request: Request, identity: str) -> Response:
        return _json(True) if self._inbox.remove(identity) else _json({"error": "Email not found"}, 500)

    def _delete_all(self, request: Request) -> Response:
        self._inbox.clear()
        return _json(True)

    def _read_all(self, request: Request) -> Response:
        return _json(self._inbox.read_all())

    def _relay(self, request: Request, identity: str, address: str = "") -> Response:
        if not self._inbox.get(identity):
            return _not_found()
        if address and not _ADDRESS.fullmatch(address):
            return _json({"error": f"Incorrect email address provided :{address}"}, 400)
        return _error_page(500, "Internal Server Error")  # what MailDev says where no server to relay to is set up

    def _config(self, request: Request) -> Response:
        return _json({"version": _VERSION, "smtpPort": str(self._smtp_port), "isOutgoingEnabled": False})

    def _health(self, request: Request) -> Response:
        return _json(True)

    def _reload(self, request: Request) -> Response:
        self._inbox.reload()
        return _json(True)


def _type(value: str) -> tuple[str, str]:
    return ("Content-Type", value)


def _with_charset(kind: str) -> str:
    textual = re.fullmatch(r"text/.*|application/(json|javascript)", kind)
    return f"{kind}; charset=utf-8" if textual else kind or "application/octet-stream"


def _json(value: Any, status: int = 200) -> Response:
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return Response(status, headers=(_type("application/json; charset=utf-8"),), body=body)


def _not_found() -> Response:
    return _json({"error": "Email was not found"}, 404)


def _html(page: str) -> Response:
    return Response(200, headers=(_type("text/html; charset=utf-8"),), body=page.encode("utf-8", "replace"))


def _error_page(status: int, text: str) -> Response:
    shown = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    page = f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Error</title>\n</head>\n<body>\n<pre>{shown}</pre>\n'
    headers: Headers = (("Content-Security-Policy", "default-src 'none'"), ("X-Content-Type-Options", "nosniff"))
    return replace(_html(f"{page}</body>\n</html>\n"), status=status, headers=(*headers, _type("text/html; charset=utf-8")))


_ROUTES: dict[str, Callable[..., Response]] = {
    r"GET /": Web._page,
    r"GET /email": Web._list,
    r"GET /email/([^/]+)": Web._one,
    r"GET /email/([^/]+)/html": Web._html_of,
    r"GET /email/([^/]+)/attachment/([^/]+)": Web._attachment,
    r"GET /email/([^/]+)/download": Web._download,
    r"GET /email/([^/]+)/source": Web._source,
    r"PATCH /email/read-all": Web._read_all,
    r"DELETE /email/all": Web._delete_all,
    r"DELETE /email/([^/]+)": Web._delete,
    r"POST /email/([^/]+)/relay(?:/([^/]+))?": Web._relay,
    r"GET /config": Web._config,
    r"GET /healthz": Web._health,
    r"GET /reloadMailsFromDirectory": Web._reload,
}
