"""The list of a user's snapshots: a small file for each snapshot, written when the snapshot is complete.

Data without such a file is not a snapshot: it is incomplete, or another program has made it. A file identifies an image by its id,
which is a hash of its content, so that no other image can replace it.
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
        engine: the name of the engine that has the snapshot.
        place: the address of the engine's daemon; empty on this machine.
        ref: the snapshot's name in the engine.
        content: the hash of the snapshot's content.
        size: the size in bytes, without what the snapshot shares with the image that it is based on.
        made_for: environment/service.
        made: the time at which it was made, as a stamp.
        steps: the hashes of the seed steps in it.
        units: the copies for resets and lanes that are kept beside it.
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
        """The name of the entry's file."""
        place = "".join(c if c.isalnum() else "-" for c in f"{self.engine}-{self.place}".rstrip("-"))
        return f"{self.key}.{place}.json"


@dataclass(frozen=True)
class Index:
    """The files in *folder*."""

    folder: Path

    def all(self) -> list[tuple[Entry, float]]:
        """Return every entry and the time of its last use (seconds since 1970), the latest first.

        Raises:
            UsageError: the folder is a link, belongs to another user, or other users can write to it.
        """
        refuse_foreign(self.folder.parent, self.folder)
        found = []
        for file in self.folder.glob("*.json"):
            with suppress(OSError, ValueError, Malformed):  # an entry of an incompatible version is useless to this one
                found.append((decode(Entry, json.loads(file.read_text("utf-8"))), file.stat().st_mtime))
        return sorted(found, key=lambda each: -each[1])

    def find(self, key: str, engine: str, place: str) -> Entry | None:
        """Return the entry with *key* in this engine and place; None if there is none. Raise the errors of `all`."""
        return next((entry for entry, _ in self.all() if (entry.key, entry.engine, entry.place) == (key, engine, place)), None)

    def add(self, entry: Entry) -> None:
        """Add *entry*, whose snapshot must be complete."""
        self._make()
        write_private(self.folder / entry.file, json.dumps(encode(entry), indent=1))

    def used(self, entry: Entry) -> None:
        """Set the time of the entry's last use to now."""
        with suppress(OSError):
            os.utime(self.folder / entry.file)

    def forget(self, entry: Entry) -> None:
        """Remove *entry*. The snapshot itself stays in its engine."""
        (self.folder / entry.file).unlink(missing_ok=True)

    @contextmanager
    def building(self, key: str, *, wait: bool = False) -> Iterator[bool]:
        """Yield whether this process may make the snapshot with *key*: no other process makes it. With *wait*, wait for the other process.

        The lock ends with this process, because the kernel releases it.
        """
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
