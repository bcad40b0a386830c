"""HTTP over a keeper's private socket, or over its port if it has none. Commands import this module late, as `http.client` is slow."""

from __future__ import annotations

import http.client
from pathlib import Path

from envctl.keeper import private_socket


class Connection(http.client.HTTPConnection):
    """A connection to a keeper.

    Args:
        port: the keeper's port, which is used without *folder* and in the `Host` header.
        folder: the instance's folder if the keeper has a private socket there, else None.
        timeout: seconds to wait for data; None for no limit.
    """

    def __init__(self, port: int, folder: Path | None, timeout: float | None) -> None:
        super().__init__("127.0.0.1", port, timeout=timeout)
        self._folder = folder

    def connect(self) -> None:
        """Open the connection.

        Raises:
            OSError: no keeper listens there.
        """
        if self._folder is None:
            super().connect()
        else:
            self.sock = private_socket.connect(str(self._folder), self.timeout)
