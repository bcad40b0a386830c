"""What this user has kept: a small file for each snapshot, written when it is whole.

A snapshot that no file names is not a snapshot: it was left half-way, or somebody else has made it. A file names an image by its
id, which is a hash of its content, so that nobody can put another one in its place.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envctl.instance.codec import Malformed, decode, encode
from envctl.instance.folder import refuse_foreign, write_private


@dataclass(frozen=True)
class Entry:
    """One snapshot.

    Attributes:
        engine, place: which engine has it, and where: the address of a daemon; empty on this machine.
        ref: its name there; `content` is the hash of what it is.
        size: in bytes, without what it shares with the image that it is made of.
        made_for: environment/service.
        made: a stamp.
        steps: the hashes of the seed steps in it.
        units: what is kept of that for resets and lanes, and lies beside it.
    """

    key: str
    engine: str
    place: str
    ref: str
    content: str
    size: int
    made_for: str
    kind: str
    image: str
    made: str
    steps: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> str:
        place = "".join(c if c.isalnum() else "-" for c in f"{self.engine}-{self.place}".rstrip("-"))
        return f"{self.key}.{place}.json"


@dataclass(frozen=True)
class Index:
    """The files in *folder*."""

    folder: Path

    def all(self) -> list[tuple[Entry, float]]:
        """Every entry and when it was used last (seconds since 1970), the latest first.

        Raises:
            UsageError: the folder is not this user's alone.
        """
        refuse_foreign(self.folder.parent, self.folder)
        found = []
        for file in self.folder.glob("*.json"):
            with suppress(OSError, ValueError, Malformed):  # one of a version that writes otherwise is of no use to this one
                found.append((decode(Entry, json.loads(file.read_text("utf-8"))), file.stat().st_mtime))
        return sorted(found, key=lambda each: -each[1])

    def find(self, key: str, engine: str, place: str) -> Entry | None:
        """The one of *key* there. Raises as `all` does."""
        return next((entry for entry, _ in self.all() if (entry.key, entry.engine, entry.place) == (key, engine, place)), None)

    def add(self, entry: Entry) -> None:
        """It is whole, and may be used."""
        self._make()
        write_private(self.folder / entry.file, json.dumps(encode(entry), indent=1))

    def used(self, entry: Entry) -> None:
        with suppress(OSError):
            os.utime(self.folder / entry.file)

    def forget(self, entry: Entry) -> None:
        (self.folder / entry.file).unlink(missing_ok=True)

    @contextmanager
    def building(self, key: str, *, wait: bool = False) -> Iterator[bool]:
        """Whether nobody else makes the one of *key* at this moment, or with *wait* any more; the kernel lets go when this process ends."""
        self._make()
        path = self.folder / f"{key}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            free = True
        except BlockingIOError:
            free = False
        try:
            yield free
            if free:
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def _make(self) -> None:
        for folder in (self.folder.parent, self.folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            refuse_foreign(folder)
