"""Connections: a thread each, one request after the other on it."""

from __future__ import annotations

import contextlib
import io
import math
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .message import Request, Response
from .strangers import Strangers
from .wire import Limits, Reader, Refused, awaits_go_ahead, closes, encode, keeps_alive

if TYPE_CHECKING:
    from typing import Protocol

    class Application(Protocol):
        """What a server answers with."""

        def admit(self, request: Request) -> None:
            """Looks at the head of a request before its body is read.

            Raises:
                Refused: the body is not wanted.
            """

        def answer(self, request: Request) -> Response:
            """Answers a whole request.

            Raises:
                Refused: it gets `refusal`, and the connection goes on.
            """

        def refusal(self, status: int, words: str) -> Response:
            """The response to a request that is refused, or (500) that made `answer` fail."""


GO_AHEAD = b"HTTP/1.1 100 Continue\r\n\r\n"
LINGER = 2.0
PAUSE = 0.05


class Settings:
    """
    Args:
        limits: of a request.
        connections: at once; more of them wait.
        idle: seconds that a connection may be silent between two requests; None for ever.
        patience: seconds within which the head of a request has to come, something of its body, and something of a response to be
            taken; None for ever.
        strangers: connections at once on which no request has been admitted; the oldest is dropped for a new one.
        first: seconds that such a connection may be silent, in the place of *idle* and *patience*.
    """

    def __init__(
        self, limits: Limits = Limits(), connections: int = 1 << 20, idle: float | None = None, patience: float | None = None,
        strangers: int = 1 << 20, first: float | None = None,
    ) -> None:  # fmt: skip
        self.limits, self.connections, self.idle, self.patience = limits, connections, idle, patience
        self.strangers, self.first = strangers, first


def listen(host: str, port: int, backlog: int = 1024) -> socket.socket:
    """A socket that accepts connections; port 0 is any free one. `0.0.0.0` is every address, of IPv6 too: a pod may have no other.

    Raises:
        OSError: it cannot listen there.
    """
    if host == "0.0.0.0" and socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # a kernel may have IPv6, and a container none
            return socket.create_server(("::", port), family=socket.AF_INET6, backlog=backlog, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=backlog)
    except (OSError, OverflowError) as error:
        raise OSError(f"cannot listen on {host}:{port}: {error}") from None


def say(line: str) -> None:
    """A whole line on stdout at once from any thread, whatever it is made of, and whether or not somebody reads it."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in line)
    with contextlib.suppress(OSError):
        sys.stdout.buffer.write(f"{printable}\n".encode())
        sys.stdout.buffer.flush()


def serve(listener: socket.socket, application: Application, settings: Settings = Settings()) -> None:
    """Answers every request that arrives, until the listener is closed."""
    free, strangers = threading.BoundedSemaphore(settings.connections), Strangers(settings.strangers)

    def attend(connection: socket.socket, client: str) -> None:
        try:
            converse(connection, client, application, settings, strangers)
        finally:
            free.release()

    while True:
        free.acquire()
        try:
            connection, address = listener.accept()
            threading.Thread(target=attend, args=(connection, address[0] if address else ""), daemon=True).start()
        except (OSError, RuntimeError):
            free.release()
            if listener.fileno() < 0:
                return
            time.sleep(PAUSE)  # out of descriptors or threads: those in use become free again


def converse(
    connection: socket.socket, client: str, application: Application, settings: Settings = Settings(), strangers: Strangers | None = None
) -> None:
    """Answers the requests of one connection until one side ends it."""
    strangers = strangers or Strangers(settings.strangers)
    try:
        with connection, strangers.having(connection), _Incoming(connection) as incoming, io.BufferedReader(incoming) as stream:
            _speed(connection)
            conversation = _Conversation(incoming, Reader(stream, client, settings.limits), application, settings, strangers)
            while conversation.more(lambda: bool(stream.peek(1))):
                pass
    except OSError:
        pass  # the client has left, or is too slow


def _speed(connection: socket.socket) -> None:
    if connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class _Incoming(io.RawIOBase):
    """What a connection sends; a `deadline` (of time.monotonic) ends it however little comes at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.deadline = connection, math.inf

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.deadline < math.inf:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.connection.settimeout(left)
        return self.connection.recv_into(buffer)


class _Conversation:
    def __init__(self, incoming: _Incoming, reader: Reader, application: Application, settings: Settings, strangers: Strangers) -> None:
        self._incoming, self._connection = incoming, incoming.connection
        self._reader, self._application, self._settings = reader, application, settings
        self._strangers = strangers
        self._idle, self._patience = settings.first or settings.idle, settings.first or settings.patience

    def more(self, begun: Callable[[], bool]) -> bool:
        """Answers the next request; whether another one may follow. *begun* waits for its first byte."""
        self._connection.settimeout(self._idle)
        if not begun():
            return False
        self._connection.settimeout(self._patience)
        try:
            request = self._request()
        except Refused as refused:
            self._connection.settimeout(self._patience)
            return self._send(self._application.refusal(refused.status, str(refused)), "GET", keep=False)
        if request is None:
            return False
        response = self._answer(request)
        if response.take_over:
            response.take_over(self._connection)
            return False
        return self._send(response, request.method, keeps_alive(request) and not closes(response))

    def _request(self) -> Request | None:
        self._incoming.deadline = math.inf if self._patience is None else time.monotonic() + self._patience
        request = self._reader.head()
        self._incoming.deadline = math.inf
        self._connection.settimeout(self._patience)
        if request is not None:
            self._application.admit(request)
            self._welcome()
            if awaits_go_ahead(request):
                self._connection.sendall(GO_AHEAD)
            request.body = self._reader.body(request)
        return request

    def _welcome(self) -> None:
        self._strangers.admitted(self._connection)
        self._idle, self._patience = self._settings.idle, self._settings.patience
        self._connection.settimeout(self._patience)

    def _answer(self, request: Request) -> Response:
        try:
            return self._application.answer(request)
        except Refused as refused:
            return self._application.refusal(refused.status, str(refused))
        except Exception as error:  # whatever a request does, it must not take its connection down without an answer
            return self._application.refusal(500, f"{type(error).__name__}: {error}")

    def _send(self, response: Response, method: str, keep: bool) -> bool:
        if response.delay:
            time.sleep(response.delay)
        try:
            self._connection.sendall(encode(response, method, keep))
        finally:
            if response.then:
                response.then()
        if not keep:
            _linger(self._connection)
        return keep


def _linger(connection: socket.socket) -> None:
    """Reads on for a moment: closing with something unread would reset the connection, and the answer with it."""
    connection.shutdown(socket.SHUT_WR)
    until = time.monotonic() + LINGER
    connection.settimeout(LINGER / 2)
    while time.monotonic() < until and connection.recv(1 << 16):
        pass
