"""Forward a request to another server."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from ..http.message import Request, Response
from ..http.wire import Refused

SECONDS = 60
"""Seconds to wait for the other server."""
# RFC 9110, 7.6.1: these headers are about one connection. The length is set anew for the body that is sent.
HOP = ("connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "expect")


def ask(request: Request, url: str) -> Response:
    """Send *request* to *url* and return the response of the server there.

    Raises:
        Refused: the server does not answer (502).
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=SECONDS)
    try:
        return _asked(connection, request, parts.path + (f"?{parts.query}" if parts.query else ""))
    except (OSError, http.client.HTTPException) as error:
        raise Refused(502, f"the server behind this proxy does not answer: {error}") from None
    finally:
        connection.close()


def _asked(connection: http.client.HTTPConnection, request: Request, path: str) -> Response:
    connection.putrequest(request.method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers:
        if name.lower() not in HOP:
            connection.putheader(name, value)
    connection.putheader("X-Forwarded-For", request.client)
    connection.putheader("X-Forwarded-Proto", "http")
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        connection.putheader("Content-Length", str(len(request.body)))
    connection.endheaders(request.body or None)
    answer = connection.getresponse()
    headers = tuple((name, value) for name, value in answer.getheaders() if name.lower() not in HOP)
    return Response(answer.status, answer.reason, headers, answer.read())
