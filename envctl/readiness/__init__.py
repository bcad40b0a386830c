"""Readiness by protocol: each protocol is a module with `probe(target)`, which is imported when a service needs it.

A probe makes ONE attempt at the endpoint that the tests use, within `target.timeout` seconds. It returns if the server answered as it
will answer the tests (with authentication, on the named database). Otherwise it raises `NotReady` with a short reason, or `OSError`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any


class NotReady(Exception):
    """The server is not ready yet. The text says what the server did instead."""


class LoginRefused(NotReady):
    """The server runs, but does not accept the credentials."""


@dataclass(frozen=True)
class Target:
    """The inputs of a probe: the endpoint as the tests reach it, the service's outside properties, and the options of the check."""

    host: str
    port: int
    ports: Mapping[str, int] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 2.0
    lasting: float = 0.05
    """The seconds that a connection must last, because a relay accepts it before the server does."""
    run: Callable[[Sequence[str]], tuple[int, str]] = lambda argv: (127, "no programs can be run here")
    logs: Callable[[], Iterable[bytes]] = lambda: ()
    health: Callable[[], tuple[str, Sequence[str]]] = lambda: ("", ())
    """A function that returns the state of the container's own health check, and the command that runs the check now."""


Probe = Callable[[Target], None]

# If no server listens behind docker-proxy, it ends the connection, or the connection fails with one of these errors.
CLOSED = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
ENDED = "it closed the connection"
# No reply that a probe expects is longer. A longer one comes from another program.
_LONGEST_LINE = 1 << 16


def port_of(target: Target) -> int:
    """Return the port that the option `port` names; without it, the main port. Raise NotReady if no port has that name."""
    name = target.options.get("port")
    if name is None:
        return target.port
    if str(name) not in target.ports:
        raise NotReady(f"no port is named '{name}'; known: {', '.join(target.ports) or 'none'}")
    return target.ports[str(name)]


class Wire:
    """A connection to the target's main port. Creating it raises OSError if there is no connection within the timeout."""

    def __init__(self, target: Target) -> None:
        self._deadline = time.monotonic() + target.timeout
        self._buffer = b""
        self._socket = socket.create_connection((target.host, target.port), timeout=target.timeout)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._socket.close()

    def _arm(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise NotReady("no answer in time")
        self._socket.settimeout(left)

    def send(self, data: bytes) -> None:
        """Send *data*. Raise NotReady if the connection was closed, or the timeout is over."""
        self._arm()
        with foreign_errors():
            self._socket.sendall(data)

    def _more(self) -> None:
        self._arm()
        try:
            chunk = self._socket.recv(65536)
        except TimeoutError:
            raise NotReady("it accepts connections but does not answer") from None
        except CLOSED:
            chunk = b""
        if not chunk:
            raise NotReady(ENDED)
        self._buffer += chunk

    def exactly(self, size: int) -> bytes:
        """Return the next *size* bytes. Raise NotReady if they do not arrive in time."""
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def line(self) -> str:
        """Return the next line without its line end. Raise NotReady if it does not arrive in time, or is too long."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_LINE:
                raise NotReady("it speaks another protocol")
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")


def shown(text: object) -> str:
    """Return the message of a server, short enough for one line of a history."""
    words = " ".join(str(text).split())
    return words if len(words) <= 160 else words[:157] + "..."


@contextmanager
def lent_socket(target: Target) -> Iterator[socket.socket]:
    """Yield a connection for a client library, and close it at the end, even if the library has left copies of its socket open.

    Raise OSError if there is no connection within the timeout.
    """
    connection = socket.create_connection((target.host, target.port), timeout=target.timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        yield connection
    finally:
        if (descriptor := connection.detach()) >= 0:
            os.close(descriptor)


def innermost(error: BaseException) -> BaseException:
    """Return the root cause of a client library's error."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


@contextmanager
def foreign_errors() -> Iterator[None]:
    """Turn the errors that a client library raises for an incomplete answer into NotReady; NotReady and other OSErrors pass unchanged."""
    try:
        yield
    except CLOSED as error:
        raise NotReady(ENDED) from error
    except (NotReady, OSError):
        raise
    except Exception as error:
        raise NotReady(shown(error) or type(error).__name__) from error
