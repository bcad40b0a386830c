"""The state of the leases on disk: a file with one line for each state, of which the last complete line counts.

To append a line takes about ten microseconds. To replace a file takes up to a millisecond, and would delay each lease.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from envctl.instance.folder import write_private

LONGEST = 1 << 20
"""The size, in bytes, after which the file is replaced by a new one."""


class Ledger:
    """The file with the states; it may have only one writer at a time.

    Attributes:
        found: the last state that was written before; empty if there is none, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._length = 0
        self.found = _last_whole(path)

    def write(self, state: dict[str, Any]) -> None:
        """Append a state.

        Raises:
            OSError: the folder no longer exists, or the disk is full.
        """
        line = json.dumps(state).encode() + b"\n"
        if self._descriptor is None or self._length + len(line) > LONGEST or not os.fstat(self._descriptor).st_nlink:
            self._begin(line)
        elif (written := os.write(self._descriptor, line)) < len(line):
            raise OSError(f"{self._path}: only {written} of {len(line)} bytes could be written")
        else:
            self._length += written

    def _begin(self, line: bytes) -> None:
        """Replace the file, because its last line may be incomplete."""
        write_private(self._path, line.decode())
        self.close()
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._length = len(line)

    def close(self) -> None:
        """Close the file; a later `write` opens a new one."""
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
