"""Remembered hashes of large files: hashing a dump of several hundred megabytes takes longer than starting from its snapshot.

A file is the same if its device, inode, size, modification time and change time are the same, as in Git's index. A user cannot set the
change time. A file that has changed within the last seconds is hashed again the next time, because it could change once more within
the same tick of its file system's clock.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from envctl.instance.folder import user_folder, why_foreign, write_private

LARGE = 4 * 1024 * 1024
"""The minimum size, in bytes, of a file whose hash is remembered; a smaller file is hashed faster than its hash is looked up."""
SETTLED_SECONDS = 10.0
MOST = 256
"""The largest number of remembered files; the files that were hashed last are kept."""


Fits = Callable[[BufferedReader], bool]


class KnownDigests:
    """The SHA-256 hashes of files. A hash that cannot be remembered is computed again, without an error.

    Args:
        folder: the folder that holds the hashes, created if it does not exist; None remembers nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = folder / "digests.json" if folder is not None else None

    def of(self, stream: BufferedReader, fits: Fits | None = None) -> str:
        """Return the hash of the content of *stream*, in hexadecimal digits.

        Args:
            fits: returns whether the content has the expected format; not called if the hash is remembered.

        Raises:
            OSError: the file cannot be read.
        """
        before = os.fstat(stream.fileno())
        if self._file is None or before.st_size < LARGE:
            return _hashed(stream, fits)[0]
        # A hash without a format check does not prove the format: the file may have been used by `restore:` before `sql:`.
        name, state = f"{before.st_dev}-{before.st_ino}{'-fits' if fits else ''}", _state(before)
        known = self._read(self._file)
        if known.get(name, [])[:-1] == state:
            return known[name][-1]
        settled = 0 <= before.st_ctime_ns < time.time_ns() - SETTLED_SECONDS * 1e9
        digest, right = _hashed(stream, fits)
        if right and settled and _state(os.fstat(stream.fileno())) == state:
            self._remember(self._file, name, [*state, digest])
        return digest

    def _read(self, file: Path) -> dict[str, list[str]]:
        """Return the remembered rows; none if the file is not valid, or if another user may have written it."""
        with suppress(OSError, ValueError):
            if not (why_foreign(file.parent) or why_foreign(file)):
                found = json.loads(file.read_text("utf-8"))
                return {name: row for name, row in found.items() if _is_row(row)} if isinstance(found, dict) else {}
        return {}

    def _remember(self, file: Path, name: str, row: list[str]) -> None:
        with suppress(OSError):
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if why_foreign(file.parent):
                return
            known = self._read(file)
            known.pop(name, None)
            rows = [*known.items(), (name, row)][-MOST:]
            write_private(file, json.dumps(dict(rows)))


def known_digests(environ: Mapping[str, str]) -> KnownDigests:
    """Return the hashes of the current user, from the cache folder; if *environ* names no such folder, nothing is remembered."""
    leads = any(os.path.isabs(environ.get(name, "")) for name in ("XDG_CACHE_HOME", "HOME"))
    return KnownDigests(user_folder(environ, "XDG_CACHE_HOME", ".cache") / "envctl" if leads else None)


def _hashed(stream: BufferedReader, fits: Fits | None) -> tuple[str, bool]:
    right = fits is None or fits(stream)
    stream.seek(0)
    return hashlib.file_digest(stream, "sha256").hexdigest(), right


def _state(found: os.stat_result) -> list[str]:
    return [str(found.st_size), str(found.st_mtime_ns), str(found.st_ctime_ns)]


def _is_row(row: object) -> bool:
    return isinstance(row, list) and len(row) == 4 and all(isinstance(each, str) for each in row)
