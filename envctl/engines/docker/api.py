"""Docker's HTTP API with the standard library: over a Unix socket, TCP, TLS, or ssh.

The SDK costs an eighth of a second and 30 MB to import: too much for `down`, and for a process that waits beside an instance.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, urlencode, urlsplit

from envctl.errors import EngineMissing

QUIET = 10.0
"""Seconds that whoever is asked may say nothing."""
CHANGING = 50.0
"""More of them while something is changed: a removal takes its time."""
PIECE = 1 << 16
NOT_FOUND = 404


class ApiError(Exception):
    """The daemon refused; the text is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@contextmanager
def suppressed(status: int) -> Iterator[None]:
    """A refusal with *status* is none: 404 of what was to be removed."""
    try:
        yield
    except ApiError as error:
        if error.status != status:
            raise


NOT_THERE = (
    "start it (Docker Desktop, or `sudo systemctl start docker`), check DOCKER_HOST and `docker context ls`; "
    "`envctl doctor` says what works here"
)


NOT_ALLOWED = "join the group `docker` (`sudo usermod -aG docker $USER`, then log in again), or use `--engine local`"


class Endpoint(NamedTuple):
    """Where a daemon listens: `unix:///path`, `tcp://host:port`, `ssh://user@host`; with TLS the folder of its pem files."""

    host: str
    tls: str | None = None
    verify: bool = True


class _Connection(http.client.HTTPConnection):
    """An HTTP connection over whatever stream leads to the daemon."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self.endpoint = endpoint

        self.quiet = timeout

    def __del__(self) -> None:  # of a thread that has ended
        self.close()

    def connect(self) -> None:
        self.sock = _stream(self.endpoint, float(self.timeout or 60))


def _stream(endpoint: Endpoint, timeout: float) -> socket.socket:
    parts = urlsplit(endpoint.host)
    if parts.scheme == "unix":
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(timeout)
        try:
            stream.connect(parts.path)
        except OSError:
            stream.close()
            raise
        return stream
    if parts.scheme == "ssh":
        return _through_ssh(endpoint.host)
    stream = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or (2376 if endpoint.tls else 2375)), timeout)
    return _encrypted(stream, endpoint, parts.hostname or "") if endpoint.tls is not None else stream


def _encrypted(stream: socket.socket, endpoint: Endpoint, hostname: str) -> socket.socket:
    folder = endpoint.tls or ""
    context = ssl.create_default_context(cafile=_file(folder, "ca.pem"))
    if not endpoint.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if cert := _file(folder, "cert.pem"):
        context.load_cert_chain(cert, _file(folder, "key.pem"))
    return context.wrap_socket(stream, server_hostname=hostname)


def _file(folder: str, name: str) -> str | None:
    path = os.path.join(folder, name)
    return path if os.path.exists(path) else None


def _through_ssh(host: str) -> socket.socket:
    """As Docker's own client does it: `docker system dial-stdio` on the other side."""
    parts = urlsplit(host)
    ours, theirs = socket.socketpair()
    user = ["-l", parts.username] if parts.username else []
    port = ["-p", str(parts.port)] if parts.port else []
    command = ["ssh", "-o", "BatchMode=yes", *user, *port, "--", parts.hostname or "", "docker", "system", "dial-stdio"]
    with theirs:
        subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL, start_new_session=True)
    return ours


class Stream:
    """An answer that goes on: a JSON value a line, or what a program prints.

    Until the daemon ends it or `close` is called, in whatever thread.
    """

    def __init__(self, connection: _Connection, answer: http.client.HTTPResponse, sock: socket.socket) -> None:
        self._connection, self._answer, self._sock = connection, answer, sock

    def __iter__(self) -> Iterator[Any]:
        for line in self._answer:
            if line.strip():
                yield json.loads(line)

    def printed(self, terminal: bool) -> Iterator[bytes]:
        """Pieces of both output streams; without a terminal each has a head of eight bytes, of which the last four say how long it is."""
        if terminal:
            yield from iter(lambda: self._answer.read1(PIECE), b"")
        else:
            while len(head := self._answer.read(8)) == 8:
                yield self._answer.read(int.from_bytes(head[4:], "big"))

    def close(self) -> None:
        """Who reads it meets its end."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class Asked(Protocol):
    """A daemon that answers."""

    def get(self, path: str, **query: Any) -> Any: ...


@dataclass
class Daemon:
    """One daemon; every thread has a connection of its own that is used again."""

    endpoint: Endpoint
    timeout: float = QUIET
    met: bool = False
    """Whether it has answered before, so that no answer means that the engine is gone."""
    _local: threading.local = field(default_factory=threading.local)

    def get(self, path: str, **query: Any) -> Any:
        return self.request("GET", path, query)

    def find(self, path: str) -> Any:
        """As `get`; None where there is no such thing."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def request(self, method: str, path: str, query: Mapping[str, Any] | None = None, patience: float = 0.0, body: Any = None) -> Any:
        """The JSON of the answer, None where it has none.

        Args:
            query: texts as they are, anything else as JSON (`filters`).
            patience: seconds that the daemon itself may take, beside what an answer takes.
            body: sent as JSON.

        Raises:
            ApiError: an answer of 400 and above.
            EngineMissing: it says nothing for too long, or is gone.
            OSError: no answer, and there has been none before.
        """
        with self._there():
            status, body = self._exchange(method, _target(path, query or {}), patience, body)
        if status >= 400:
            raise ApiError(status, _message(body))
        return json.loads(body) if body.strip() else None

    def stream(self, path: str, **query: Any) -> Stream:
        """An answer that goes on, over a connection of its own.

        Raises:
            ApiError: an answer of 400 and above.
            EngineMissing: it is gone.
            OSError: no answer, and there has been none before.
        """
        with self._there():
            return self._opened("GET", path, query)

    def printed(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None, terminal: bool = False
    ) -> Iterator[bytes]:
        """What a program prints, as it comes, over a connection of its own.

        Args:
            terminal: it has one, so that its output streams are one.

        Raises:
            ApiError, EngineMissing, OSError: as with `stream`, when the first piece is asked for.
        """
        with self._there(), closing(self._opened(method, path, query or {}, body)) as stream:
            yield from stream.printed(terminal)

    @contextmanager
    def _there(self) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            if not self.met:
                raise
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise EngineMissing(f"Docker no longer answers at {self.endpoint.host}: {why}", hint=NOT_THERE) from None

    def _opened(self, method: str, path: str, query: Mapping[str, Any], body: Any = None) -> Stream:
        connection = _Connection(self.endpoint, self.timeout)
        try:
            connection.connect()
            sock = connection.sock
            connection.request(method, _target(path, query), *_sent(body))
            answer = connection.getresponse()
            if answer.status >= 400:
                raise ApiError(answer.status, _message(answer.read()))
            sock.settimeout(None)
            return Stream(connection, answer, sock)
        except BaseException as error:
            connection.close()
            if isinstance(error, http.client.HTTPException):
                raise OSError(str(error) or type(error).__name__) from None
            raise

    def _exchange(self, method: str, target: str, patience: float, body: Any) -> tuple[int, bytes]:
        connection: _Connection = getattr(self._local, "connection", None) or _Connection(self.endpoint, self.timeout)
        self._local.connection = connection
        kept = connection.sock is not None
        try:
            if not kept:
                connection.connect()
            connection.quiet = self.timeout + patience + (0 if method == "GET" else CHANGING)
            connection.sock.settimeout(connection.quiet)
            connection.request(method, target, *_sent(body))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, ConnectionError) as error:
            connection.close()
            if not kept:
                raise OSError(str(error) or type(error).__name__) from None
        except TimeoutError:
            connection.close()
            raise EngineMissing(f"Docker has said nothing for {connection.quiet:g} s at {self.endpoint.host}", hint=NOT_THERE) from None
        except OSError:
            connection.close()
            raise
        return self._exchange(method, target, patience, body)  # the daemon had closed a connection that was kept for later


def _sent(body: Any) -> tuple[str | None, Mapping[str, str]]:
    return (None, {}) if body is None else (json.dumps(body), {"Content-Type": "application/json"})


def _target(path: str, query: Mapping[str, Any]) -> str:
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in query.items()}
    return quote(path) + ("?" + urlencode(texts) if texts else "")


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()
