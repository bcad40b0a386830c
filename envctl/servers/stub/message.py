"""What goes over the wire: one request, one response."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from urllib.parse import parse_qsl

Headers = tuple[tuple[str, str], ...]

_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True)
class Request:
    """A request as it arrived; `url` is the path with the query, both still percent-encoded."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""
    version: str = "HTTP/1.1"
    client: str = ""

    @property
    def path(self) -> str:
        """The URL without its query."""
        return self.url.partition("?")[0]

    def header(self, name: str) -> list[str]:
        """Every value of a header, whatever the case of its name."""
        wanted = name.lower()
        return [value for known, value in self.headers if known.lower() == wanted]

    @cached_property
    def query(self) -> dict[str, list[str]]:
        """The query parameters, decoded."""
        found: dict[str, list[str]] = {}
        for name, value in parse_qsl(self.url.partition("?")[2], keep_blank_values=True):
            found.setdefault(name, []).append(value)
        return found

    @cached_property
    def cookies(self) -> dict[str, list[str]]:
        """The cookies, without the quotes around a value."""
        found: dict[str, list[str]] = {}
        for crumb in "; ".join(self.header("Cookie")).split(";"):
            name, separator, value = crumb.strip().partition("=")
            if separator:
                found.setdefault(name, []).append(_unquoted(value))
        return found

    @cached_property
    def text(self) -> str | None:
        """The body as text, decompressed; an empty one is None, which is what `absent` asks for."""
        return self.content.decode("utf-8", "replace") or None

    @property
    def content(self) -> bytes:
        """The body without the compression of its transport."""
        if [coding.lower() for coding in self.header("Content-Encoding")] != ["gzip"]:
            return self.body
        try:
            return zlib.decompress(self.body, _GZIP)
        except zlib.error:
            return self.body


@dataclass(frozen=True)
class Response:
    """A response; `delay` is the time in seconds that it is held back."""

    status: int
    reason: str = ""
    headers: Headers = ()
    body: bytes = b""
    delay: float = 0


def text_response(status: int, text: str) -> Response:
    """A plain text answer of our own."""
    return Response(status, headers=(("Content-Type", "text/plain; charset=utf-8"),), body=text.encode())


def reason_of(status: int) -> str:
    """The standard phrase of a status, empty where there is none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
