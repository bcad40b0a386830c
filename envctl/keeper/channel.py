"""JSON lines over a socket, between the keeper and one of its helpers."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from typing import Any

CHUNK = 1 << 16


class Channel:
    """One end; whole messages in both directions."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._sending = threading.Lock()
        self._begun = b""

    def send(self, message: dict[str, Any]) -> None:
        with self._sending:
            self._stream.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> list[dict[str, Any]] | None:
        """What has arrived, after waiting for something; None once the other end is closed."""
        try:
            data = self._stream.recv(CHUNK)
        except OSError:
            return None
        if not data:
            return None
        *lines, self._begun = (self._begun + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def shut(self) -> None:
        """Both ends read its end from now on."""
        with suppress(OSError):  # the other side was faster
            self._stream.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._stream.close()
