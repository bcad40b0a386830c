"""The records on disk. Every change goes through `update`, with the instance's lock held; nothing else writes records."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envctl.errors import EnvctlError
from envctl.instance.codec import decode, encode
from envctl.instance.folder import foreign_hint, make_folder, refuse_foreign, usable, why_foreign, write_private
from envctl.instance.record import VERSION, Record

RECORD = "instance.json"


class RecordGone(EnvctlError):
    """The instance was removed, or a new instance has its id: nothing may be recorded about the former instance any more."""


class UnreadableRecord(EnvctlError):
    """A record that this version cannot read.

    Attributes:
        id: the id of the instance.
        told: what could be read of the record, or None.
        later: the record was written by a later version of envctl; otherwise it is damaged.
    """

    def __init__(self, id: str, message: str, hint: str, told: Any = None, later: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.id, self.told, self.later = id, told, later


@dataclass(frozen=True)
class RecordStore:
    """The records of the instances below *home*, in one folder per instance."""

    home: Path
    _writing: threading.RLock = field(default_factory=threading.RLock)

    def folder(self, id: str) -> Path:
        """Return the state folder of the instance *id*; it may not exist."""
        return self.home / id

    def load(self, id: str) -> Record | None:
        """Return the record of the instance *id*, or None if there is no record.

        Raises:
            UnreadableRecord: a later version wrote the record, it is damaged, or another user may have written it.
            UsageError: another user may have written to the state folder.
        """
        refuse_foreign(self.home)
        if why := why_foreign(self.folder(id)):
            message = f"the record in {self.folder(id)} cannot be trusted: {why}"
            raise UnreadableRecord(id, message, foreign_hint(self.folder(id)))
        path = self.folder(id) / RECORD
        what = f"the record {path}"
        try:
            told = json.loads(path.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as error:
            if not os.access(self.home, os.X_OK, effective_ids=True):  # HOME is another user's
                with usable(self.home):
                    raise
            raise _damaged(id, what, str(getattr(error, "strerror", None) or error)) from None
        except (ValueError, RecursionError) as error:
            raise _damaged(id, what, f"it is not valid JSON: {error}") from None
        return read_record(told, id, what)

    def has_any(self) -> bool:
        """Return whether any folder of an instance exists, with or without a record."""
        try:
            return not why_foreign(self.home) and any(self.home.iterdir())
        except OSError:
            return False

    def all(self) -> list[Record]:
        """Return every readable record, sorted by id; `unreadable` returns the errors of the rest."""
        return self.scan()[0]

    def unreadable(self) -> list[UnreadableRecord]:
        """Return the errors of the records that cannot be read."""
        return self.scan()[1]

    def scan(self) -> tuple[list[Record], list[UnreadableRecord]]:
        """Return the results of `all` and `unreadable`; every file is read only once.

        Raises:
            UsageError: another user may have written to the state folder.
        """
        refuse_foreign(self.home)
        found: list[Record] = []
        broken: list[UnreadableRecord] = []
        try:
            ids = sorted(path.name for path in self.home.iterdir() if path.is_dir())
        except OSError:
            return [], []
        for id in ids:
            try:
                record = self.load(id)
            except UnreadableRecord as error:
                broken.append(error)
            else:
                found += [record] if record is not None else []
        return found, broken

    def create(self, record: Record) -> Record:
        """Write the first record of an instance; it replaces the record of an earlier instance."""
        with self._writing:
            self._write(record)
        return record

    def update(self, record: Record, change: Callable[[Record], Record]) -> Record:
        """Apply *change* to the current record on disk, write the result, and return it.

        Args:
            record: the record as the caller knows it; it identifies the instance.
            change: receives the current record and returns the new one.

        Raises:
            RecordGone: the instance was removed in the meantime; a new one may have the same id.
            UnreadableRecord: the record is damaged.
        """
        with self._writing:
            current = self.load(record.id)
            if current is None or current.secret != record.secret:
                raise RecordGone(f"{record.name} ({record.id}) has been removed in the meantime")
            changed = change(current)
            if changed != current:
                self._write(changed)
        return changed

    def _write(self, record: Record) -> None:
        folder = self.folder(record.id)
        make_folder(folder)
        with usable(self.home):
            write_private(folder / RECORD, json.dumps(encode(record), ensure_ascii=False))

    def remove(self, id: str) -> None:
        """Remove the record. The folder is removed when its lock is released: until then the keeper's socket in it is needed."""
        with self._writing, suppress(OSError):
            (self.folder(id) / RECORD).unlink()


def read_record(told: Any, id: str, what: str) -> Record:
    """Return the record of the instance *id* from its JSON form, which may come from another machine; errors call it *what*.

    Raises:
        UnreadableRecord: a later version wrote the record, or it is damaged.
    """
    version = told.get("version") if isinstance(told, dict) else None
    if isinstance(version, int) and version > VERSION:
        hint = f"use that version of envctl, e.g. to `envctl down {id}`"
        why = f"was written by a later version of envctl (format {version}; this one knows {VERSION})"
        raise UnreadableRecord(id, f"{what} {why}", hint, told, later=True)
    if version != VERSION:
        raise _damaged(id, what, "it has no version" if version is None else f"{version} is not a version", told)
    try:
        record = decode(Record, told)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(id, what, str(error), told) from None
    if record.id != id:  # a command would then work on the wrong instance
        raise _damaged(id, what, f"id: expected '{id}', not '{record.id}'", told)
    return record


def _damaged(id: str, what: str, why: str, told: Any = None) -> UnreadableRecord:
    hint = f"`envctl down {id}` removes what carries its label, and the record with it"
    return UnreadableRecord(id, f"{what} cannot be read: {why}", hint, told)
