"""HTTP requests and responses."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    import socket

Headers = tuple[tuple[str, str], ...]
"""The names and values of headers, in their order."""


class Request:
    """A request as it was received.

    Attributes:
        url: the path and the query, both still percent-encoded.
        body: the body without chunked encoding, but still compressed if it was.
        version: the protocol version, such as `HTTP/1.1`.
        client: the address of the client; empty if unknown.
    """

    def __init__(
        self, method: str, url: str, headers: Headers = (), body: bytes = b"", version: str = "HTTP/1.1", client: str = ""
    ) -> None:
        self.method, self.url, self.headers, self.body, self.version, self.client = method, url, headers, body, version, client

    @property
    def path(self) -> str:
        """The path of the URL, without the query and still percent-encoded."""
        return self.url.partition("?")[0]

    def header(self, name: str) -> list[str]:
        """Return all values of a header. The case of its name does not matter."""
        wanted = name.lower()
        return [value for known, value in self.headers if known.lower() == wanted]

    @cached_property
    def query(self) -> dict[str, list[str]]:
        """The values of each query parameter, decoded."""
        return parse_qs(self.url.partition("?")[2], keep_blank_values=True)

    @cached_property
    def cookies(self) -> dict[str, list[str]]:
        """The values of each cookie, without quotes around a value."""
        found: dict[str, list[str]] = {}
        for crumb in "; ".join(self.header("Cookie")).split(";"):
            name, separator, value = crumb.strip().partition("=")
            if separator:
                found.setdefault(name, []).append(_unquoted(value))
        return found

    @cached_property
    def text(self) -> str | None:
        """The decompressed body as text; None if it is empty."""
        return self.content.decode("utf-8", "replace") or None

    @property
    def content(self) -> bytes:
        """The body, decompressed if its Content-Encoding is gzip."""
        if [coding.lower() for coding in self.header("Content-Encoding")] != ["gzip"]:
            return self.body
        import zlib

        try:
            return zlib.decompress(self.body, 16 + zlib.MAX_WBITS)
        except zlib.error:
            return self.body


class Response:
    """A response.

    Args:
        reason: the reason phrase; empty for the standard one.
        delay: seconds to wait before the response is sent.
        then: called after the response was sent, or could not be sent.
        take_over: called with the connection; it sends the response itself, and the other arguments are ignored.
    """

    def __init__(
        self,
        status: int,
        reason: str = "",
        headers: Headers = (),
        body: bytes = b"",
        delay: float = 0,
        then: Callable[[], object] | None = None,
        take_over: Callable[[socket.socket], object] | None = None,
    ) -> None:
        self.status, self.reason, self.headers, self.body = status, reason, headers, body
        self.delay, self.then, self.take_over = delay, then, take_over


def text_response(status: int, text: str) -> Response:
    """Return a response with plain text."""
    return Response(status, headers=(("Content-Type", "text/plain; charset=utf-8"),), body=text.encode("utf-8", "replace"))


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
