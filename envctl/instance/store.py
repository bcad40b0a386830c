"""The records on disk. Whoever changes one goes through `update`, with the instance's lock; nothing else writes them."""

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
    """The instance was removed, or another one has its id by now: nothing may be written about it any more."""


class UnreadableRecord(EnvctlError):
    """There is a record that this version cannot read (*later*: a later one's, else damaged); *told* is what could be read of it."""

    def __init__(self, id: str, message: str, hint: str, told: Any = None, later: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.id, self.told, self.later = id, told, later


@dataclass(frozen=True)
class RecordStore:
    """The instances below *home*, a folder each."""

    home: Path
    _writing: threading.RLock = field(default_factory=threading.RLock)

    def folder(self, id: str) -> Path:
        return self.home / id

    def load(self, id: str) -> Record | None:
        """The record of *id*; None where there is none.

        Raises:
            UnreadableRecord: a later version has written it, it is damaged, or others may have written it.
            UsageError: others may have put anything there.
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
        """Whether there is a folder of an instance, with a record or without; none of ours is in a folder that is not."""
        try:
            return not why_foreign(self.home) and any(self.home.iterdir())
        except OSError:
            return False

    def all(self) -> list[Record]:
        """Every record that can be read, by id; `unreadable` has the others."""
        return self.scan()[0]

    def unreadable(self) -> list[UnreadableRecord]:
        """The errors of those that cannot be read."""
        return self.scan()[1]

    def scan(self) -> tuple[list[Record], list[UnreadableRecord]]:
        """`all` and `unreadable`, for whoever needs both: every file is read once.

        Raises:
            UsageError: others may have put anything there.
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
        """Writes the first record of an instance, in the place of an earlier one's."""
        with self._writing:
            self._write(record)
        return record

    def update(self, record: Record, change: Callable[[Record], Record]) -> Record:
        """What *change* makes of the record as it is on disk now; that is written, and comes back.

        Args:
            record: whose instance it is, as it was known before.

        Raises:
            RecordGone: it was removed meanwhile, and perhaps made anew.
            UnreadableRecord: it is damaged.
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
        """There is no record any more; the folder goes when its lock is let go: until then its keeper can be reached."""
        with self._writing, suppress(OSError):
            (self.folder(id) / RECORD).unlink()


def read_record(told: Any, id: str, what: str) -> Record:
    """The record of the instance *id* as JSON has it, from this machine or from another one; *what* is how errors call it.

    Raises:
        UnreadableRecord: a later version has written it, or it is damaged.
    """
    version = told.get("version") if isinstance(told, dict) else None
    if isinstance(version, int) and version > VERSION:
        hint = f"use that version of envctl, e.g. to `envctl down {id}`"
        why = f"was written by a later version of envctl (format {version}; this one knows {VERSION})"
        raise UnreadableRecord(id, f"{what} {why}", hint, told, later=True)
    if version != VERSION:
        raise _damaged(id, what, "it does not say its version" if version is None else f"{version} is not a version", told)
    try:
        record = decode(Record, told)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(id, what, str(error), told) from None
    if record.id != id:  # whoever works on it would work on another instance
        raise _damaged(id, what, f"id: expected '{id}', not '{record.id}'", told)
    return record


def _damaged(id: str, what: str, why: str, told: Any = None) -> UnreadableRecord:
    hint = f"`envctl down {id}` removes what carries its label, and the record with it"
    return UnreadableRecord(id, f"{what} cannot be read: {why}", hint, told)
