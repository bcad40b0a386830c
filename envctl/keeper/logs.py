"""The log file of a process: of limited size, with one older file beside it."""

from __future__ import annotations

import os
from contextlib import suppress

LIMIT = 10 * 1024 * 1024
OLDER = ".1"


class Log:
    """Appends to *path*; what cannot be written is dropped, the process is not to suffer from it.

    Raises:
        OSError: the file cannot be opened to begin with.
    """

    def __init__(self, path: str, limit: int = LIMIT) -> None:
        self.path, self.limit = path, limit
        self._open()

    def _open(self) -> None:
        self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        self.size = os.fstat(self.descriptor).st_size

    def write(self, data: bytes) -> None:
        if self.size and self.size + len(data) > self.limit:
            self._rotate()
        with suppress(OSError):
            self.size += os.write(self.descriptor, data)

    def _rotate(self) -> None:
        before = self.descriptor
        try:
            os.replace(self.path, self.path + OLDER)
            self._open()
        except OSError:  # its folder is gone: what has no name may not grow either
            os.ftruncate(before, 0)
            self.size = 0
        else:
            os.close(before)

    def close(self) -> None:
        os.close(self.descriptor)
