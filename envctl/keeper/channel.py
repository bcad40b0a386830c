"""Messages between the keeper and one of its helper processes: JSON lines over a socket."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from typing import Any

CHUNK = 1 << 16


class Channel:
    """One end of the socket. Several threads may send; one thread receives."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._sending = threading.Lock()
        self._begun = b""

    def send(self, message: dict[str, Any]) -> None:
        """Send one message.

        Raises:
            OSError: the other end is closed.
        """
        with self._sending:
            self._stream.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> list[dict[str, Any]] | None:
        """Wait for data and return the complete messages in it, perhaps none; None once the other end is closed."""
        try:
            data = self._stream.recv(CHUNK)
        except OSError:
            return None
        if not data:
            return None
        *lines, self._begun = (self._begun + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def shut(self) -> None:
        """Shut the connection down in both directions, so that both ends read the end of it."""
        with suppress(OSError):  # the other end has closed it already
            self._stream.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close this end."""
        self._stream.close()
