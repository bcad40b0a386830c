"""Connections on which no request has been admitted yet: few at a time, so that idle ones keep nobody out."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Strangers:
    """
    Args:
        most: at once; the oldest is dropped for a new one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._there: dict[socket.socket, None] = {}

    @contextlib.contextmanager
    def having(self, connection: socket.socket) -> Iterator[None]:
        """*connection* is one of them until it is `admitted`; to be left before that is closed, as its number is reused."""
        with self._lock:
            self._there[connection] = None
            if len(self._there) > self._most:
                self._drop(next(iter(self._there)))
        try:
            yield
        finally:
            self.admitted(connection)

    def admitted(self, connection: socket.socket) -> None:
        with self._lock:
            self._there.pop(connection, None)

    def _drop(self, oldest: socket.socket) -> None:
        """Its thread reads the end of it."""
        del self._there[oldest]
        with contextlib.suppress(OSError):  # the client has left
            oldest.shutdown(socket.SHUT_RDWR)
