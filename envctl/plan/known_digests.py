"""Hashes of large files, remembered: a dump of some hundred megabytes takes longer to hash than its snapshot to start from.

A file counts as the same while device, inode, size and both of its times are the same: what Git's index goes by. The time of its last
change cannot be set by hand. A file that was changed a moment before is hashed again the next time: it could be changed once more within
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
"""Bytes; what is smaller is hashed in less time than it takes to look it up."""
SETTLED_SECONDS = 10.0
MOST = 256
"""Files that are remembered, those that were hashed last."""


Fits = Callable[[BufferedReader], bool]


class KnownDigests:
    """The SHA-256 of files' contents. What cannot be remembered is hashed again: that is never an error.

    Args:
        folder: where they are kept, made where it is not there; None: nowhere.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = folder / "digests.json" if folder is not None else None

    def of(self, stream: BufferedReader, fits: Fits | None = None) -> str:
        """Of what *stream* holds, in hexadecimal digits. Raises OSError: it cannot be read.

        Args:
            fits: whether it is what it should be; not asked again of what is known and fitted.
        """
        before = os.fstat(stream.fileno())
        if self._file is None or before.st_size < LARGE:
            return _hashed(stream, fits)[0]
        # What fits nothing in particular need not fit: a dump may have been `restore:` before it is `sql:`.
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
        """Whatever is no such file holds nothing, and so does one that others may have written."""
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
    """Those of this user, in the cache folder; none where *environ* does not lead to one."""
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
