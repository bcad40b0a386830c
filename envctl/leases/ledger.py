"""What the helper for leases knows, on disk: a line for each state, the last whole one counts.

A line is appended in some ten microseconds; replacing a file takes up to a millisecond, and a lease waits for it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from envctl.instance.folder import write_private

LONGEST = 1 << 20
"""Bytes after which the file begins anew."""


class Ledger:
    """One writer at a time.

    Attributes:
        found: what was there before; empty where nothing was, or where it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._length = 0
        self.found = _last_whole(path)

    def write(self, state: dict[str, Any]) -> None:
        """
        Raises:
            OSError: the folder is gone, or the disk is full.
        """
        line = json.dumps(state).encode() + b"\n"
        if self._descriptor is None or self._length + len(line) > LONGEST or not os.fstat(self._descriptor).st_nlink:
            self._begin(line)
        elif (written := os.write(self._descriptor, line)) < len(line):
            raise OSError(f"{self._path}: only {written} of {len(line)} bytes could be written")
        else:
            self._length += written

    def _begin(self, line: bytes) -> None:
        """What a writer before this one has left unfinished is not written on."""
        write_private(self._path, line.decode())
        self.close()
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._length = len(line)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _last_whole(path: Path) -> dict[str, Any]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return {}
    for line in filter(None, reversed(lines)):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return {}
