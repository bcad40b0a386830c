"""Readiness by protocol: one module a protocol, each with `probe(target)`, imported when a service needs it.

A probe makes ONE attempt over the endpoint that the tests will use, within `target.timeout` seconds, and returns when the
server answered as it will answer the tests (authenticated, on the named database). Otherwise it raises `NotReady` with a
short reason, or lets `OSError` through.
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
    """The server is not ready yet; the text says what it did instead."""


class LoginRefused(NotReady):
    """The server runs, but does not accept these credentials."""


@dataclass(frozen=True)
class Target:
    """What a probe may use: the endpoint from outside, the service's outside properties, and the check's options."""

    host: str
    port: int
    ports: Mapping[str, int] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 2.0
    lasting: float = 0.05
    """Seconds that a connection must last: what relays it accepts it before the server does."""
    run: Callable[[Sequence[str]], tuple[int, str]] = lambda argv: (127, "no programs can be run here")
    logs: Callable[[], Iterable[bytes]] = lambda: ()
    health: Callable[[], tuple[str, Sequence[str]]] = lambda: ("", ())
    """What its own health check says, and the command that asks it now."""


Probe = Callable[[Target], None]

# What docker-proxy does while nothing listens behind it, seen as an end of data or as one of these.
CLOSED = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
ENDED = "it closed the connection"
# No reply that a probe waits for is longer; whoever sends more is another program.
_LONGEST_LINE = 1 << 16


def port_of(target: Target) -> int:
    """The port that the option `port` names; the main one without it. Raises NotReady for a name that is none."""
    name = target.options.get("port")
    if name is None:
        return target.port
    if str(name) not in target.ports:
        raise NotReady(f"no port is named '{name}'; known: {', '.join(target.ports) or 'none'}")
    return target.ports[str(name)]


class Wire:
    """A connection to the target's main port. Raises OSError where there is none within the timeout."""

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
        """The next *size* bytes. Raises NotReady when they do not come."""
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def line(self) -> str:
        """The next line without its end. Raises NotReady when it does not come."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_LINE:
                raise NotReady("it speaks another protocol")
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")


def shown(text: object) -> str:
    """A server's own words, short enough for one line of a history."""
    words = " ".join(str(text).split())
    return words if len(words) <= 160 else words[:157] + "..."


@contextmanager
def lent_socket(target: Target) -> Iterator[socket.socket]:
    """A connection for a client library, closed at the end however many files the library has made of it and forgotten.

    Raises OSError where there is no connection within the timeout.
    """
    connection = socket.create_connection((target.host, target.port), timeout=target.timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        yield connection
    finally:
        if (descriptor := connection.detach()) >= 0:
            os.close(descriptor)


def innermost(error: BaseException) -> BaseException:
    """What a client library's error goes back to."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


@contextmanager
def foreign_errors() -> Iterator[None]:
    """Whatever a client library raises on half an answer becomes NotReady; NotReady and other OSErrors pass."""
    try:
        yield
    except CLOSED as error:
        raise NotReady(ENDED) from error
    except (NotReady, OSError):
        raise
    except Exception as error:
        raise NotReady(shown(error) or type(error).__name__) from error
