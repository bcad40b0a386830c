"""Simulate Docker's daemon with a small HTTP server on a Unix socket or on TCP."""

from __future__ import annotations

import json
import os
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Answer = tuple[int, Any]
"""A status and a body: bytes are sent unchanged, None sends no body, anything else is sent as JSON."""


@dataclass
class FakeDaemon:
    """A simulated daemon that records requests (`METHOD /path`) and their queries.

    *answer* receives method, path and query. With *hangs_up*, each connection is closed after an answer without notice; with *silent*,
    there is no answer.
    """

    answer: Callable[[str, str, dict[str, str]], Answer]
    host: str = ""
    asked: list[str] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    connections: int = 0
    hangs_up: bool = False
    silent: bool = False

    def filters(self, number: int = -1) -> Any:
        return json.loads(self.queries[number]["filters"])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    daemon: FakeDaemon

    def setup(self) -> None:
        super().setup()
        self.daemon.connections += 1

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        self.daemon.asked.append(f"{self.command} {unquote(parts.path)}")
        self.daemon.queries.append(dict(parse_qsl(parts.query, keep_blank_values=True)))
        if self.daemon.silent:
            self.close_connection = True
            return
        status, body = self.daemon.answer(self.command, unquote(parts.path), self.daemon.queries[-1])
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = self.daemon.hangs_up

    def log_message(self, *args: Any) -> None: ...


@contextmanager
def running(answer: Callable[[str, str, dict[str, str]], Answer], *, tcp: bool = False, **options: Any) -> Iterator[FakeDaemon]:
    """Run a daemon until the block ends; then close its connections, too."""
    found = FakeDaemon(answer, **options)
    sockets: list[socket.socket] = []
    folder = tempfile.mkdtemp()  # pytest's folders are too long for the name of a socket

    class Handler(_Handler):
        daemon = found

        def setup(self) -> None:
            sockets.append(self.request)
            super().setup()

    server: socketserver.BaseServer
    if tcp:
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        found.host = f"tcp://127.0.0.1:{server.server_address[1]}"
    else:
        server = socketserver.ThreadingUnixStreamServer(os.path.join(folder, "docker.sock"), Handler)
        found.host = f"unix://{Path(folder, 'docker.sock')}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join(5)
        for each in sockets:
            with suppress(OSError):  # the connection is already closed
                each.shutdown(socket.SHUT_RDWR)
        server.server_close()  # waits for the threads
        shutil.rmtree(folder)
