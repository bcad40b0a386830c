"""Who listens for ends of processes, and telling them."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)


class ExitEvents:
    """Streams of chunked JSON lines; a listener that does not read is dropped, nobody waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[socket.socket] = []

    def follow(self, stream: socket.socket) -> None:
        """Answers an HTTP request; returns when the client has closed."""
        with self._lock:
            stream.sendall(HEAD)
            stream.settimeout(None)
            self._listeners.append(stream)
        try:
            while stream.recv(4096):
                pass
        except OSError:
            pass
        finally:
            with self._lock:
                self._forget(stream)

    def tell(self, name: str, status: int) -> None:
        line = json.dumps({"name": name, "status": status}).encode() + b"\n"
        chunk = b"%x\r\n%s\r\n" % (len(line), line)
        with self._lock:
            for stream in list(self._listeners):
                self._send(stream, chunk)

    def _send(self, stream: socket.socket, chunk: bytes) -> None:
        try:
            complete = stream.send(chunk, socket.MSG_DONTWAIT) == len(chunk)
        except OSError:
            complete = False
        if not complete:
            self._forget(stream)
            with suppress(OSError):  # it is gone
                stream.shutdown(socket.SHUT_RDWR)

    def _forget(self, stream: socket.socket) -> None:
        if stream in self._listeners:
            self._listeners.remove(stream)
