"""The HTTP server: one thread for each connection, which handles the requests one after the other."""

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
        """The part of a server that decides on the responses."""

        def admit(self, request: Request) -> None:
            """Check the head of a request before its body is read.

            Raises:
                Refused: the request is refused, and the connection is closed after the response.
            """

        def answer(self, request: Request) -> Response:
            """Return the response to a complete request.

            Raises:
                Refused: the response is that of `refusal`, and the connection stays open.
            """

        def refusal(self, status: int, words: str) -> Response:
            """Return the response to a request that is refused, or (500) for which `answer` has raised another exception."""


GO_AHEAD = b"HTTP/1.1 100 Continue\r\n\r\n"
LINGER = 2.0
"""Seconds to read on after the last response on a connection."""
PAUSE = 0.05
"""Seconds to wait after `accept` has failed."""


class Settings:
    """The limits of a server.

    Args:
        limits: the limits of a request.
        connections: the largest number of open connections; further clients wait.
        idle: seconds that a connection may be silent between two requests; None for no limit.
        patience: seconds in which the client has to send the head of a request, and in which it has to send some more of a body or
            accept some more of a response; None for no limit.
        strangers: the largest number of open connections without an admitted request; a further one replaces the oldest.
        first: the values of *idle* and *patience* for a connection without an admitted request; None for no difference.
    """

    def __init__(
        self, limits: Limits = Limits(), connections: int = 1 << 20, idle: float | None = None, patience: float | None = None,
        strangers: int = 1 << 20, first: float | None = None,
    ) -> None:  # fmt: skip
        self.limits, self.connections, self.idle, self.patience = limits, connections, idle, patience
        self.strangers, self.first = strangers, first


def listen(host: str, port: int, backlog: int = 1024) -> socket.socket:
    """Return a socket that accepts connections.

    Args:
        host: the address. `0.0.0.0` stands for all addresses including those of IPv6, as a pod may have only an IPv6 address.
        port: the port; 0 is any free one.
        backlog: the largest number of connections that wait to be accepted.

    Raises:
        OSError: the socket cannot listen there.
    """
    if host == "0.0.0.0" and socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # the kernel may support IPv6 although the container has no such address
            return socket.create_server(("::", port), family=socket.AF_INET6, backlog=backlog, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=backlog)
    except (OSError, OverflowError) as error:
        raise OSError(f"cannot listen on {host}:{port}: {error}") from None


def say(line: str) -> None:
    """Print a line on stdout in one write, for any thread. Replace unprintable characters, and ignore a closed stdout."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in line)
    with contextlib.suppress(OSError):
        sys.stdout.buffer.write(f"{printable}\n".encode())
        sys.stdout.buffer.flush()


def serve(listener: socket.socket, application: Application, settings: Settings = Settings()) -> None:
    """Accept connections and answer requests until the listener is closed."""
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
            time.sleep(PAUSE)  # the process has no descriptors or threads left; wait until some are free again


def converse(
    connection: socket.socket, client: str, application: Application, settings: Settings = Settings(), strangers: Strangers | None = None
) -> None:
    """Answer the requests on one connection until one side closes it.

    Args:
        client: the address of the client.
        strangers: the connections without an admitted request that share a limit.
    """
    strangers = strangers or Strangers(settings.strangers)
    try:
        with connection, strangers.having(connection), _Incoming(connection) as incoming, io.BufferedReader(incoming) as stream:
            _speed(connection)
            conversation = _Conversation(incoming, Reader(stream, client, settings.limits), application, settings, strangers)
            while conversation.more(lambda: bool(stream.peek(1))):
                pass
    except OSError:
        pass  # the client has closed the connection, or is too slow


def _speed(connection: socket.socket) -> None:
    if connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class _Incoming(io.RawIOBase):
    """The incoming bytes of a connection. Reading fails after `deadline` (of time.monotonic), even if bytes keep arriving slowly."""

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
        """Answer the next request; return whether another one may follow. *begun* waits for the first byte of a request."""
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
        except Exception as error:  # a request that fails must get a response
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
    """Read on for a moment. To close a connection with unread data would reset it, and the client could lose the response."""
    connection.shutdown(socket.SHUT_WR)
    until = time.monotonic() + LINGER
    connection.settimeout(LINGER / 2)
    while time.monotonic() < until and connection.recv(1 << 16):
        pass
