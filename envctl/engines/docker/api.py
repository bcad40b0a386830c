"""A client for Docker's HTTP API that needs only the standard library: over a Unix socket, TCP, TLS, or ssh.

Importing the SDK takes an eighth of a second and 30 MB: too much for `down`, and for a process that runs beside an instance.
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
"""The seconds that the daemon may take to answer."""
CHANGING = 50.0
"""The additional seconds for a request that changes something, such as a removal."""
PIECE = 1 << 16
"""The number of bytes that are read at once."""
NOT_FOUND = 404


class ApiError(Exception):
    """An error that the daemon has answered: its message and its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@contextmanager
def suppressed(status: int) -> Iterator[None]:
    """Ignore an ApiError with *status* in the context, such as 404 for something that is to be removed."""
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
    """The address of a daemon.

    Attributes:
        host: `unix:///path`, `tcp://host:port` or `ssh://user@host`.
        tls: the folder of its PEM files; None without TLS.
        verify: whether the daemon's certificate is verified.
    """

    host: str
    tls: str | None = None
    verify: bool = True


class _Connection(http.client.HTTPConnection):
    """An HTTP connection over the type of stream that the endpoint needs."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self.endpoint = endpoint

        self.quiet = timeout

    def __del__(self) -> None:  # closes the connection of a thread that has ended
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
    """Run `docker system dial-stdio` on the daemon's machine, as Docker's own client does."""
    parts = urlsplit(host)
    ours, theirs = socket.socketpair()
    user = ["-l", parts.username] if parts.username else []
    port = ["-p", str(parts.port)] if parts.port else []
    command = ["ssh", "-o", "BatchMode=yes", *user, *port, "--", parts.hostname or "", "docker", "system", "dial-stdio"]
    with theirs:
        subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL, start_new_session=True)
    return ours


class Stream:
    """An answer of unknown length: one JSON value on each line, or the output of a program.

    It ends when the daemon ends it, or when any thread calls `close`.
    """

    def __init__(self, connection: _Connection, answer: http.client.HTTPResponse, sock: socket.socket) -> None:
        self._connection, self._answer, self._sock = connection, answer, sock

    def __iter__(self) -> Iterator[Any]:
        for line in self._answer:
            if line.strip():
                yield json.loads(line)

    def printed(self, terminal: bool) -> Iterator[bytes]:
        """Yield the program's output, both streams merged, in pieces.

        Args:
            terminal: whether the program has a terminal. Without one, each piece has a header of eight bytes; the last four are its length.
        """
        if terminal:
            yield from iter(lambda: self._answer.read1(PIECE), b"")
        else:
            while len(head := self._answer.read(8)) == 8:
                yield self._answer.read(int.from_bytes(head[4:], "big"))

    def close(self) -> None:
        """Close the connection; a thread that reads from it reaches the end of the stream."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class Asked(Protocol):
    """A daemon that can be queried."""

    def get(self, path: str, **query: Any) -> Any: ...


@dataclass
class Daemon:
    """A Docker daemon; each thread has its own connection, which is reused."""

    endpoint: Endpoint
    timeout: float = QUIET
    met: bool = False
    """Whether the daemon has answered before, so that a missing answer means that it has stopped."""
    _local: threading.local = field(default_factory=threading.local)

    def get(self, path: str, **query: Any) -> Any:
        """Send a GET request; result and errors are those of `request`."""
        return self.request("GET", path, query)

    def find(self, path: str) -> Any:
        """Return the result of `get`, or None if the daemon answers 404."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def request(self, method: str, path: str, query: Mapping[str, Any] | None = None, patience: float = 0.0, body: Any = None) -> Any:
        """Send a request, and return the JSON of the answer, or None if the answer is empty.

        Args:
            query: strings are sent unchanged, other values as JSON (`filters`).
            patience: additional seconds that the daemon may take for this request.
            body: sent as JSON.

        Raises:
            ApiError: the status is 400 or above.
            EngineMissing: the daemon does not answer in time, or has stopped.
            OSError: the daemon cannot be reached, and has never answered before.
        """
        with self._there():
            status, body = self._exchange(method, _target(path, query or {}), patience, body)
        if status >= 400:
            raise ApiError(status, _message(body))
        return json.loads(body) if body.strip() else None

    def stream(self, path: str, **query: Any) -> Stream:
        """Send a GET request over a separate connection, and return its answer of unknown length.

        Raises:
            ApiError: the status is 400 or above.
            EngineMissing: the daemon has stopped.
            OSError: the daemon cannot be reached, and has never answered before.
        """
        with self._there():
            return self._opened("GET", path, query)

    def printed(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None, terminal: bool = False
    ) -> Iterator[bytes]:
        """Send a request over a separate connection, and yield the output of a program as it arrives.

        Args:
            terminal: whether the program has a terminal, which merges its output streams.

        Raises:
            ApiError, EngineMissing, OSError: as in `stream`, when the first piece is read.
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
            raise EngineMissing(f"Docker did not answer for {connection.quiet:g} s at {self.endpoint.host}", hint=NOT_THERE) from None
        except OSError:
            connection.close()
            raise
        return self._exchange(method, target, patience, body)  # the daemon has closed an idle connection


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
