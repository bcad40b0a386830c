"""The connections without an admitted request. Their number is limited, so that idle connections cannot keep other clients out."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Strangers:
    """The connections of a server on which no request has been admitted yet.

    Args:
        most: the largest number of such connections; a further one replaces the oldest.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._there: dict[socket.socket, None] = {}

    @contextlib.contextmanager
    def having(self, connection: socket.socket) -> Iterator[None]:
        """Count *connection* until it is `admitted` or the context ends. End the context before the connection is closed."""
        with self._lock:
            self._there[connection] = None
            if len(self._there) > self._most:
                self._drop(next(iter(self._there)))
        try:
            yield
        finally:
            self.admitted(connection)

    def admitted(self, connection: socket.socket) -> None:
        """Stop counting *connection*, because a request on it was admitted or it ends."""
        with self._lock:
            self._there.pop(connection, None)

    def _drop(self, oldest: socket.socket) -> None:
        """Shut a connection down, so that its thread reads the end of it and closes it."""
        del self._there[oldest]
        with contextlib.suppress(OSError):  # the client has closed it
            oldest.shutdown(socket.SHUT_RDWR)
