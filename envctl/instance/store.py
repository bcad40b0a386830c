"""The records on disk. Whoever changes one goes through `update`, with the instance's lock; nothing else writes them."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envctl.errors import EnvctlError
from envctl.instance.codec import Malformed, decode, encode
from envctl.instance.folder import make_folder, usable, write_private
from envctl.instance.record import VERSION, Record

RECORD = "instance.json"


class RecordGone(EnvctlError):
    """The instance was removed, or another one has its id by now: nothing may be written about it any more."""


class UnreadableRecord(EnvctlError):
    """There is a record that this version cannot read; what it is about is left alone."""

    def __init__(self, path: Path, why: str, hint: str) -> None:
        super().__init__(f"the record {path} {why}", hint=hint)
        self.id = path.parent.name


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
            UnreadableRecord: a later version has written it, or it is damaged.
        """
        path = self.folder(id) / RECORD
        try:
            text = path.read_text("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise _damaged(path, str(getattr(error, "strerror", None) or error)) from None
        return _read(path, text)

    def all(self) -> list[Record]:
        """Every record that can be read, by id; `unreadable` has the others."""
        return self._look()[0]

    def unreadable(self) -> list[UnreadableRecord]:
        """The errors of those that cannot be read."""
        return self._look()[1]

    def _look(self) -> tuple[list[Record], list[UnreadableRecord]]:
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
                raise RecordGone(f"{record.name} ({record.id}) has been removed meanwhile")
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
        """The folder is gone, with all that is in it; also where there was none."""
        with self._writing:
            shutil.rmtree(self.folder(id), ignore_errors=True)


def _read(path: Path, text: str) -> Record:
    try:
        told: Any = json.loads(text)
    except ValueError as error:
        raise _damaged(path, f"it is no JSON: {error}") from None
    version = told.get("version") if isinstance(told, dict) else None
    if isinstance(version, int) and version > VERSION:
        hint = f"use that version of envctl, e.g. to `envctl down {path.parent.name}`"
        raise UnreadableRecord(path, f"was written by a later version of envctl (format {version}; this one knows {VERSION})", hint)
    if version != VERSION:
        raise _damaged(path, "it does not say its version" if version is None else f"there is no version {version}")
    try:
        return decode(Record, told)
    except (Malformed, TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, why: str) -> UnreadableRecord:
    id = path.parent.name
    return UnreadableRecord(path, f"cannot be read: {why}", f"`envctl down {id}` removes what carries its label, and the record with it")
