"""Outputs as text: each format is a module with `text(values)`. The files of `write:` are written here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from envctl.errors import UsageError, did_you_mean
from envctl.files.folders import FileRefused
from envctl.files.writing import check_file, write_file

if TYPE_CHECKING:
    from envctl.instance.record import Record

FORMATS = ("dotenv", "shell", "json", "github", "gitlab", "properties", "spring", "postman", "cypress", "karate")


def formatted(format: str, values: Mapping[str, str]) -> str:
    """Return *values* in *format*, with a line end after each line.

    Raises:
        UsageError: the format does not exist, or it cannot represent a value.
    """
    if format not in FORMATS:
        raise UsageError(f"there is no format '{format}'", hint=did_you_mean(format, FORMATS))
    text: str = import_module(f"envctl.outputs.{format}").text(values)
    return text


def with_all_written(record: Record, records: Iterable[Record]) -> Record:
    """Return *record* with the hashes of files from other instances of its checkout: instances may replace each other's files."""
    others = (each.written for each in records if each.project == record.project)
    return replace(record, written=tuple(dict.fromkeys(chain(record.written, *others))))


def refuse_foreign_files(record: Record) -> None:
    """Check before anything is started that the files of `write:` can be written.

    Raises:
        UsageError: a file exists and was not written by envctl, or cannot be written.
    """
    for name in record.write:
        with _explained(record, name) as path:
            check_file(path, Path(record.project), ours=partial(_ours, record))


def write_outputs(record: Record, note: Callable[[Sequence[str]], None]) -> None:
    """Write the outputs of *record* to the files of `write:`.

    Args:
        note: receives the hashes of the new contents before the files are written. The record keeps them to identify envctl's own files.

    Raises:
        UsageError: a file cannot be written, or was not written by envctl.
    """
    texts = {name: formatted(format, record.outputs) for name, format in record.write.items()}
    hashes = dict.fromkeys([_hash(text.encode()) for text in texts.values()])
    note([*hashes])
    known = replace(record, written=(*record.written, *hashes))
    for name, text in texts.items():
        with _explained(record, name) as path:
            write_file(path, text, Path(record.project), ours=partial(_ours, known), mode=0o600)


def empty_outputs(record: Record) -> None:
    """Empty the files of `write:`, except files that someone has changed."""
    for name in record.write:
        path = _path(record, name)
        with suppress(UsageError, OSError):
            if path.is_file():
                write_file(path, b"", Path(record.project), ours=partial(_ours, record), mode=0o600)


def _path(record: Record, name: str) -> Path:
    return Path(os.path.normpath(Path(record.file).parent / name))


def _ours(record: Record, content: bytes) -> bool:
    return _hash(content) in record.written


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _explained(record: Record, name: str) -> Iterator[Path]:
    path, hint = _path(record, name), "`write:` names the files that hold the outputs"
    try:
        yield path
    except FileRefused as error:
        raise UsageError(str(error.message), hint=f"{hint}; `envctl env {record.name}` prints them") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint=hint) from None


def process_variables(record: Record) -> dict[str, str]:
    """Return the variable that identifies the instance. It is never the variable of an option, so it does not affect the next command."""
    return {"ENVCTL_INSTANCE": record.id}
