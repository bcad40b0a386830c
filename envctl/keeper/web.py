"""A small HTTP/1.1 server on 127.0.0.1 for those who know the token: a thread per connection, many requests on one.

http.server costs 9 MB. Whoever does not know the token, or names another host (a page in a browser, by a name of its own for 127.0.0.1),
is refused before the body of the request is read.
"""

from __future__ import annotations

import hmac
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, unquote

LARGEST_BODY = 16 * 1024 * 1024
LONGEST_LINE = 8192
MOST_HEADERS = 100
MOST_CONNECTIONS = 256
READ_TIMEOUT = 30.0
IDLE_TIMEOUT = 300.0

REASONS = {
    100: "Continue", 200: "OK", 201: "Created", 400: "Bad HttpRequest", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 409: "Conflict", 411: "Length Required", 413: "Content Too Large", 422: "Unprocessable Content",
    431: "HttpRequest Header Fields Too Large", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip


class Refused(Exception):
    """An answer other than the one that was hoped for."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class HttpRequest:
    """One request; its body is a JSON object, an empty one where it had none."""

    def __init__(self, method: str, target: str, headers: dict[str, str]) -> None:
        path, _, query = target.partition("?")
        self.method, self.headers = method, headers
        self.path = [unquote(part) for part in path.split("/")[1:]]
        self.query = dict(parse_qsl(query))
        self.body: dict[str, Any] = {}


class Answer:
    """What is sent back.

    Attributes:
        then: called after it is sent, or could not be.
        follow: takes the connection over, instead of an answer.
    """

    def __init__(
        self,
        status: int = 200,
        body: Any = None,
        then: Callable[[], None] | None = None,
        follow: Callable[[socket.socket], None] | None = None,
    ) -> None:
        self.status, self.body, self.then, self.follow = status, {} if body is None else body, then, follow

    def encoded(self, more: bool) -> bytes:
        body = json.dumps(self.body).encode()
        return _head(self.status, f"Content-Length: {len(body)}", "" if more else "Connection: close") + body


def stream_head() -> bytes:
    """What chunks follow on, until the connection is closed."""
    return _head(200, "Transfer-Encoding: chunked", "Connection: close", "Cache-Control: no-store")


def _head(status: int, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} {REASONS[status]}", "Content-Type: application/json", *filter(None, lines), "", ""]).encode()


class Server:
    """Listens from the moment it is made, and answers once it serves."""

    def __init__(self, token: str, handle: Callable[[HttpRequest], Answer]) -> None:
        self._expected, self._handle = f"Bearer {token}".encode(), handle
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self.port: int = self._listening.getsockname()[1]
        self._hosts = {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}

    def serve(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            self._free.acquire()
            try:
                stream, _ = self._listening.accept()
                threading.Thread(target=self._converse, args=(stream,), daemon=True).start()
            except (OSError, RuntimeError):  # no descriptors, or threads, for now
                self._free.release()
                time.sleep(0.1)

    def _converse(self, stream: socket.socket) -> None:
        try:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with stream, stream.makefile("rb") as reader:
                while self._exchange(stream, reader):
                    pass
        except OSError:
            pass  # the client is gone, or slow
        finally:
            self._free.release()

    def _exchange(self, stream: socket.socket, reader: BinaryIO) -> bool:
        """Whether the connection stays open."""
        stream.settimeout(IDLE_TIMEOUT)
        if not reader.peek(1):  # type: ignore[attr-defined]
            return False
        stream.settimeout(READ_TIMEOUT)
        answer, more = self._heard(stream, reader)
        if answer.follow:
            answer.follow(stream)
            return False
        stream.settimeout(READ_TIMEOUT)
        try:
            stream.sendall(answer.encoded(more))
        finally:
            if answer.then:
                answer.then()
        if not more:
            _linger(stream)
        return more

    def _heard(self, stream: socket.socket, reader: BinaryIO) -> tuple[Answer, bool]:
        """The answer to the next request, and whether another one may follow it."""
        try:
            request = _read_head(reader)
            self._admit(request)
            _read_body(request, stream, reader)
        except Refused as refused:
            return Answer(refused.status, {"error": str(refused)}), False
        return self._answer(request), request.headers.get("connection", "").lower() != "close"

    def _answer(self, request: HttpRequest) -> Answer:
        try:
            return self._handle(request)
        except Refused as refused:
            return Answer(refused.status, {"error": str(refused)})
        except Exception as error:  # a mistake of ours ends the request, not the connection's thread without a word
            return Answer(500, {"error": f"{type(error).__name__}: {error}"})

    def _admit(self, request: HttpRequest) -> None:
        if request.headers.get("host", "").lower() not in self._hosts:
            raise Refused(403, "requests are for 127.0.0.1 only")
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), self._expected):
            raise Refused(401, "the token is missing, or wrong")


def _read_head(reader: BinaryIO) -> HttpRequest:
    words = _line(reader).split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        raise Refused(400, "no HTTP request")
    headers: dict[str, str] = {}
    while line := _line(reader):
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise Refused(400, "no HTTP header")
        if len(headers) >= MOST_HEADERS:
            raise Refused(431, "too many headers")
        if headers.setdefault(name.lower(), value.strip()) != value.strip():
            raise Refused(400, f"two headers {name}")
    return HttpRequest(words[0], words[1], headers)


def _line(reader: BinaryIO) -> str:
    line = reader.readline(LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise Refused(431 if len(line) == LONGEST_LINE else 400, "a line is too long, or ends early")
    return line.decode("latin-1").rstrip("\r\n")


def _read_body(request: HttpRequest, stream: socket.socket, reader: BinaryIO) -> None:
    if "transfer-encoding" in request.headers:
        raise Refused(411, "the length of the body is needed")
    length = request.headers.get("content-length", "0")
    if not length.isascii() or not length.isdecimal():
        raise Refused(400, "no length")
    if len(length) > 12 or int(length) > LARGEST_BODY:
        raise Refused(413, f"a body is at most {LARGEST_BODY} bytes long")
    if request.headers.get("expect", "").lower() == "100-continue":
        stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    data = reader.read(int(length))
    if len(data) < int(length):
        raise Refused(400, "the body ends early")
    try:
        request.body = json.loads(data) if data else {}
    except (ValueError, RecursionError):
        raise Refused(400, "the body is no JSON") from None
    if not isinstance(request.body, dict):
        raise Refused(400, "the body is no JSON object")


def _linger(stream: socket.socket) -> None:
    """Reads on for a moment: closing with something unread would reset the connection, and the answer with it."""
    stream.shutdown(socket.SHUT_WR)
    until = time.monotonic() + 2
    stream.settimeout(1)
    while time.monotonic() < until and stream.recv(1 << 16):
        pass
