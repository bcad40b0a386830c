"""HTTP/1.1 on a byte stream. `http.server` reads no chunked bodies and takes half of the start-up time by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from .message import Headers, Request, Response, reason_of

LINE_LIMIT = 65536
HEADER_LIMIT = 500
BODY_LIMIT = 1 << 30

_OURS = ("content-length", "transfer-encoding", "connection")


class BadRequest(Exception):
    """Bytes that are no request this server understands."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.status = status


def read_request(stream: BinaryIO, client: str, send: Callable[[bytes], object]) -> Request | None:
    """The next request of a connection, None at its end; `send` carries the go-ahead for a body that waits for it."""
    try:
        start = _line(stream) or _line(stream)  # RFC 9112, 2.2: an empty line before a request is to be skipped
    except ConnectionAbortedError:
        return None
    parts = start.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequest(400, "not an HTTP/1.1 request line")
    headers = _headers(stream)
    named = {name.lower(): value for name, value in headers}
    if named.get("expect", "").lower() == "100-continue":
        send(b"HTTP/1.1 100 Continue\r\n\r\n")
    return Request(parts[0], _origin_form(parts[1]), headers, _body(stream, named), parts[2], client)


def keeps_alive(request: Request) -> bool:
    """Whether the client expects the connection to stay open."""
    options = ",".join(request.header("Connection")).lower()
    return "close" not in options if request.version == "HTTP/1.1" else "keep-alive" in options


def closes(response: Response) -> bool:
    """Whether a response asks for the connection's end."""
    return any(name.lower() == "connection" and value.lower() == "close" for name, value in response.headers)


def encode(response: Response, method: str, keep: bool) -> bytes:
    """The bytes of a response to a request with that method."""
    bodiless = response.status in (204, 304)
    headers = [pair for pair in response.headers if pair[0].lower() not in _OURS]
    if not bodiless:
        headers.append(("Content-Length", _length(response, method)))
    headers.append(("Connection", "keep-alive" if keep else "close"))
    lines = [f"HTTP/1.1 {response.status} {response.reason or reason_of(response.status)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("latin-1", "replace") + (b"" if bodiless or method == "HEAD" else response.body)


def _length(response: Response, method: str) -> str:
    if method == "HEAD" and not response.body:
        # A HEAD answer may announce a size that no mapping wants to spell out as a body.
        declared = [value for name, value in response.headers if name.lower() == "content-length"]
        return next(iter(declared), "0")
    return str(len(response.body))


def _line(stream: BinaryIO) -> str:
    line = stream.readline(LINE_LIMIT + 1)
    if len(line) > LINE_LIMIT:
        raise BadRequest(431, "a line of the head is too long")
    if not line.endswith(b"\n"):
        raise ConnectionAbortedError("the client left in the middle of a request")
    return line.decode("latin-1").rstrip("\r\n")


def _headers(stream: BinaryIO) -> Headers:
    headers: list[tuple[str, str]] = []
    while line := _line(stream):
        name, separator, value = line.partition(":")
        if not separator or not name or name != name.strip():
            raise BadRequest(400, "not a header line")
        headers.append((name, value.strip()))
        if len(headers) > HEADER_LIMIT:
            raise BadRequest(431, "too many headers")
    return tuple(headers)


def _origin_form(target: str) -> str:
    target = target.partition("#")[0]
    scheme, separator, rest = target.partition("://")
    if target.startswith("/") or not separator or not scheme.isalnum():
        return target
    path = rest[len(rest.split("/")[0].split("?")[0]) :]
    return path if path.startswith("/") else f"/{path}"


def _body(stream: BinaryIO, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower().endswith("chunked"):
        return _chunks(stream)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BadRequest(400, "Content-Length is not a number")
    return _exactly(stream, int(length[:20]))


def _chunks(stream: BinaryIO) -> bytes:
    chunks: list[bytes] = []
    total = 0
    while size := _chunk_size(stream):
        total += size
        chunks.append(_exactly(stream, size, total))
        if _line(stream):
            raise BadRequest(400, "a chunk is longer than its size")
    _headers(stream)  # the trailer
    return b"".join(chunks)


def _chunk_size(stream: BinaryIO) -> int:
    try:
        return int(_line(stream).partition(";")[0], 16)
    except ValueError:
        raise BadRequest(400, "the size of a chunk is not a number") from None


def _exactly(stream: BinaryIO, size: int, total: int = 0) -> bytes:
    if not 0 <= size <= BODY_LIMIT or total > BODY_LIMIT:
        raise BadRequest(413, "the body is too large")
    content = stream.read(size)
    if len(content) < size:
        raise ConnectionAbortedError("the client left in the middle of a body")
    return content
