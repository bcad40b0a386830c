"""HTTP over a keeper's private socket, or, where it has none, over its port. Imported late: `http.client` takes its time."""

from __future__ import annotations

import http.client
from pathlib import Path

from envctl.keeper import private_socket


class Connection(http.client.HTTPConnection):
    """
    Args:
        folder: of the instance, where its keeper listens in there.
    """

    def __init__(self, port: int, folder: Path | None, timeout: float | None) -> None:
        super().__init__("127.0.0.1", port, timeout=timeout)
        self._folder = folder

    def connect(self) -> None:
        if self._folder is None:
            super().connect()
        else:
            self.sock = private_socket.connect(str(self._folder), self.timeout)
