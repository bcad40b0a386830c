"""Outputs as text: one module a format, each with `text(values)`; the files of `write:` are kept with them."""

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
    """*values* in *format*, each line ended.

    Raises:
        UsageError: there is no such format.
    """
    if format not in FORMATS:
        raise UsageError(f"there is no format '{format}'", hint=did_you_mean(format, FORMATS))
    text: str = import_module(f"envctl.outputs.{format}").text(values)
    return text


def with_all_written(record: Record, records: Iterable[Record]) -> Record:
    """*record* with what other instances of its checkout have written: theirs may be replaced, as ours are by them."""
    others = (each.written for each in records if each.project == record.project)
    return replace(record, written=tuple(dict.fromkeys(chain(record.written, *others))))


def refuse_foreign_files(record: Record) -> None:
    """Whether the files of `write:` can be written, before anything is started.

    Raises:
        UsageError: one is there and not ours.
    """
    for name in record.write:
        with _explained(record, name) as path:
            check_file(path, Path(record.project), ours=partial(_ours, record))


def write_outputs(record: Record, note: Callable[[Sequence[str]], None]) -> None:
    """Writes the outputs of *record* to the files of `write:`.

    Args:
        note: given the hashes of what they will hold, to be kept in the record: by them we know our own files.

    Raises:
        UsageError: one cannot be written, or is not ours.
    """
    texts = {name: formatted(format, record.outputs) for name, format in record.write.items()}
    hashes = dict.fromkeys([_hash(text.encode()) for text in texts.values()])
    note([*hashes])
    known = replace(record, written=(*record.written, *hashes))
    for name, text in texts.items():
        with _explained(record, name) as path:
            write_file(path, text, Path(record.project), ours=partial(_ours, known), mode=0o600)


def empty_outputs(record: Record) -> None:
    """Empties the files of `write:`, unless somebody else has changed them."""
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
    """The variable that says which instance it is. No name of it is an option's: what we hand out must not steer the next command."""
    return {"ENVCTL_INSTANCE": record.id}
