"""The HTTP/1.1 protocol: read requests from a stream of bytes, and encode responses."""

from __future__ import annotations

from http import HTTPStatus
from typing import BinaryIO

from .message import Headers, Request, Response

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_OURS = ("content-length", "transfer-encoding", "connection")


class Limits:
    """The limits of a request.

    Attributes:
        line: the longest line of the head, in bytes.
        headers: the largest number of headers.
        body: the largest body, in bytes.
    """

    def __init__(self, line: int = 65536, headers: int = 500, body: int = 1 << 30) -> None:
        self.line, self.headers, self.body = line, headers, body


class Refused(Exception):
    """A request that is refused; the text is the reason.

    Attributes:
        status: the HTTP status of the response.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Reader:
    """A reader for the requests of one connection. Its methods raise the exceptions below.

    Raises:
        Refused: the data is not a valid request, or is too large.
        ConnectionAbortedError: the client has closed the connection in the middle of a request.
    """

    def __init__(self, stream: BinaryIO, client: str = "", limits: Limits = Limits()) -> None:
        self._stream, self._client, self._limits = stream, client, limits

    def head(self) -> Request | None:
        """Read and return the next request without its body; None at the end of the connection."""
        try:
            start = self._line() or self._line()  # RFC 9112, 2.2: a server should ignore an empty line before a request
        except ConnectionAbortedError:
            return None
        parts = start.split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise Refused(400, "not an HTTP/1.1 request line")
        return Request(parts[0], _origin_form(parts[1]), self._headers(), b"", parts[2], self._client)

    def body(self, request: Request) -> bytes:
        """Read and return the body of a request whose head was read."""
        encoding = request.header("Transfer-Encoding")
        if encoding and encoding[-1].lower().endswith("chunked"):
            return self._chunks()
        lengths = set(request.header("Content-Length")) or {"0"}
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdigit()):
            raise Refused(400, "Content-Length is not a number")
        return self._exactly(int(length[:20]))

    def _line(self) -> str:
        line = self._stream.readline(self._limits.line + 1)
        if len(line) > self._limits.line:
            raise Refused(431, "a line of the head is too long")
        if not line.endswith(b"\n"):
            raise ConnectionAbortedError("the client left in the middle of a request")
        return line.decode("latin-1").rstrip("\r\n")

    def _headers(self) -> Headers:
        headers: list[tuple[str, str]] = []
        while line := self._line():
            name, separator, value = line.partition(":")
            if not separator or not name or name != name.strip():
                raise Refused(400, "not a header line")
            headers.append((name, value.strip()))
            if len(headers) > self._limits.headers:
                raise Refused(431, "too many headers")
        return tuple(headers)

    def _chunks(self) -> bytes:
        chunks: list[bytes] = []
        total = 0
        while size := self._chunk_size():
            total += size
            chunks.append(self._exactly(size, total))
            if self._line():
                raise Refused(400, "a chunk is longer than its size")
        self._headers()  # the trailer
        return b"".join(chunks)

    def _chunk_size(self) -> int:
        try:
            return int(self._line().partition(";")[0], 16)
        except ValueError:
            raise Refused(400, "the size of a chunk is not a number") from None

    def _exactly(self, size: int, total: int = 0) -> bytes:
        if not 0 <= size <= self._limits.body or total > self._limits.body:
            raise Refused(413, f"the body is larger than {self._limits.body} bytes")
        content = self._stream.read(size)
        if len(content) < size:
            raise ConnectionAbortedError("the client left in the middle of a body")
        return content


def awaits_go_ahead(request: Request) -> bool:
    """Return whether the client waits for `100 Continue` before it sends the body."""
    return [value.lower() for value in request.header("Expect")] == ["100-continue"]


def keeps_alive(request: Request) -> bool:
    """Return whether the client wants to keep the connection open."""
    options = ",".join(request.header("Connection")).lower()
    return "close" not in options if request.version == "HTTP/1.1" else "keep-alive" in options


def closes(response: Response) -> bool:
    """Return whether the response has the header `Connection: close`."""
    return any(name.lower() == "connection" and value.lower() == "close" for name, value in response.headers)


def encode(response: Response, method: str, keep: bool) -> bytes:
    """Return the bytes of a response.

    Args:
        method: the method of the request.
        keep: whether the connection stays open.
    """
    bodiless = response.status in (204, 304)
    headers = [pair for pair in response.headers if pair[0].lower() not in _OURS]
    if not bodiless:
        headers.append(("Content-Length", _length(response, method)))
    headers.append(("Connection", "keep-alive" if keep else "close"))
    lines = [f"HTTP/1.1 {response.status} {response.reason or _REASONS.get(response.status, '')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("latin-1", "replace") + (b"" if bodiless or method == "HEAD" else response.body)


def _length(response: Response, method: str) -> str:
    if method == "HEAD" and not response.body:
        # A mapping for HEAD may declare the length of a body without giving the body.
        declared = [value for name, value in response.headers if name.lower() == "content-length"]
        return next(iter(declared), "0")
    return str(len(response.body))


def _origin_form(target: str) -> str:
    target = target.partition("#")[0]
    scheme, separator, rest = target.partition("://")
    if target.startswith("/") or not separator or not scheme.isalnum():
        return target
    path = rest[len(rest.split("/")[0].split("?")[0]) :]
    return path if path.startswith("/") else f"/{path}"
