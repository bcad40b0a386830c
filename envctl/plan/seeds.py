"""Seed steps with their files found and a hash of everything that their result depends on."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from envctl.definition.kinds import Kind
from envctl.definition.matching import matching
from envctl.definition.models import SeedStep, Service
from envctl.files.folders import FileRefused
from envctl.files.reading import open_file
from envctl.plan.model import Feed, Step
from envctl.plan.reading import Reading
from envctl.plan.subjects import Subject


def steps_of(reading: Reading, subject: Subject, service: Service, kind: Kind, image: str) -> Iterator[Step]:
    """The steps in order. Their hashes are a chain: the server's, and then each step's on top of those before it."""
    name, chain = subject.name, _server_hash(reading, subject, image)
    for number, step in enumerate(service.seed):
        at = ("services", name, "seed", number)
        files, content = reading.once(at, partial(_read, reading, step, at))
        database = step.database or next(iter(subject.several.get("databases", ())), None)
        chain = _hash(reading, chain, database, step.model_dump(mode="json", exclude={"needs"}), content)
        file, line = reading.loaded.source.at(at)
        yield Step(
            service=name,
            number=number,
            step=step,
            hash=chain,
            files=files,
            where=f"{file}:{line}",
            command=_command(reading, step, name, at),
            needs=step.needs,
            feed=_feed(reading, kind, step, files, name, at),
        )


def _server_hash(reading: Reading, subject: Subject, image: str) -> str:
    """What the server itself makes of its data; credentials change nothing of it, and must not be found out by it."""
    several = {key: {name: _public(subject, given) for name, given in items.items()} for key, items in subject.several.items()}
    return _hash(reading, subject.kind.kind, image, _public(subject, subject.parameters), several)


def _public(subject: Subject, given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key not in subject.kind.credentials and "password" not in key}


def _hash(reading: Reading, *parts: Any) -> str:
    """Of texts as they are written: a reference counts as itself, not with the address or password that it leads to."""
    text = json.dumps(parts, sort_keys=True, default=str)
    for secret in sorted(reading.loaded.secrets):
        text = text.replace(secret, "")
    return hashlib.sha256(text.encode()).hexdigest()


def _read(reading: Reading, step: SeedStep, at: tuple[str | int, ...]) -> tuple[tuple[Path, ...], list[tuple[str, str]]]:
    """The files of a step, and all that counts of its files and inputs: paths below their folders, and hashes of the content."""
    files, folder = _files(reading, step, at)
    entries: list[tuple[str, str]] = []
    with reading.located(*at):
        entries += [_entry(folder, path, reading.loaded.project) for path in files]
        entries.append(("inputs", ""))
        entries += [_entry(base, path, reading.loaded.project) for base, path in _inputs(reading, step, at)]
    return files, entries


def _entry(folder: Path, path: Path, root: Path) -> tuple[str, str]:
    with open_file(path, root) as stream:
        return Path(os.path.relpath(path, folder)).as_posix(), hashlib.file_digest(stream, "sha256").hexdigest()


def _command(reading: Reading, step: SeedStep, name: str, at: tuple[str | int, ...]) -> tuple[str, ...]:
    """References are what the program itself can reach: on this machine the outside addresses. `self` is the seeded service."""
    where = {None: None, "host": None, "server": name}.get(step.in_, step.in_)
    viewpoint = reading.addressing.standpoint(where)
    return reading.argv(step.command, reading.resolver.reader(viewpoint, name), *at, "command")


def _feed(reading: Reading, kind: Kind, step: SeedStep, files: Sequence[Path], name: str, at: tuple[str | int, ...]) -> Feed | None:
    feed = kind.seeds.get(step.format)
    if feed is None:
        return None
    scope = dict(reading.resolver.reader_in(name))
    has_header = step.file_format is not None and step.file_format.header and files
    columns = reading.once((*at, "columns"), partial(_columns, reading, files[0], (*at, step.format))) if has_header else []
    scope |= {"step": {"database": step.database or scope["self"]["first"].get("databases"), "into": step.into, "columns": columns}}
    command = reading.tree(feed.command, scope, *at)
    return Feed(tuple(map(str, command)), {key: str(value) for key, value in reading.tree(feed.env, scope, *at).items()}, feed.dialect)


def _columns(reading: Reading, path: Path, at: tuple[str | int, ...]) -> list[str]:
    try:
        found = header(path, reading.loaded.project)
    except (FileRefused, OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        what = "no UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        reading.wrong(at, f"the header of '{path.name}' cannot be read: {what}")
        return []
    if not any(found):
        reading.wrong(at, f"'{path.name}' has no header", "its first line names the columns")
    return found


def header(path: Path, root: Path) -> list[str]:
    """The names in the first line of a CSV file."""
    with open_file(path, root) as packed, gzip.open(packed) if path.suffix == ".gz" else packed as raw:
        stream = io.TextIOWrapper(raw, "utf-8-sig", newline="")
        return [name.strip() for name in next(csv.reader(stream), [])]


def _files(reading: Reading, step: SeedStep, at: tuple[str | int, ...]) -> tuple[tuple[Path, ...], Path]:
    """What the server is fed with, in order, and the folder that holds it."""
    if step.file is None or step.file_format is None:
        return (), Path()
    path = reading.loaded.path(step.file, at)
    if not path.is_dir():
        return (path,), path.parent
    return tuple(sorted(p for p in path.iterdir() if p.name.endswith(step.file_format.in_folders))), path


def _inputs(reading: Reading, step: SeedStep, at: tuple[str | int, ...]) -> Iterator[tuple[Path, Path]]:
    """Each input below the folder that its pattern is relative to."""
    for number, pattern in enumerate(step.inputs):
        folder = reading.loaded.base((*at, "inputs", number))
        found = (folder / name for name in matching(pattern, folder))
        yield from ((folder, path) for path in sorted(found) if path.is_file() and "__pycache__" not in path.parts)
