"""Seed steps with their files found and a hash of everything that their result depends on."""

from __future__ import annotations

import csv
import glob
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from envctl.definition.kinds import Kind
from envctl.definition.models import SeedStep, Service
from envctl.plan.model import Feed, Step
from envctl.plan.reading import Reading
from envctl.plan.views import Side


def steps_of(reading: Reading, name: str, service: Service, kind: Kind) -> Iterator[Step]:
    for number, step in enumerate(service.seed):
        at = ("services", name, "seed", number)
        files = tuple(_files(reading, step, at))
        file, line = reading.loaded.source.at(at)
        yield Step(
            service=name,
            number=number,
            step=step,
            hash=_hash(step, [*files, *_inputs(reading, step, at)], reading.loaded.folder),
            files=files,
            where=f"{file}:{line}",
            command=_command(reading, step, name, at),
            needs=step.needs,
            feed=_feed(reading, kind, step, files, name, at),
        )


def _command(reading: Reading, step: SeedStep, name: str, at: tuple[str | int, ...]) -> tuple[str, ...]:
    """References are what the program itself can reach: on this machine the outside addresses. `self` is the seeded service."""
    side: Side = "outside" if step.in_ in (None, "host") else "inside"
    return reading.argv(step.command, reading.resolver.reader(side, name), *at, "command")


def _feed(reading: Reading, kind: Kind, step: SeedStep, files: Sequence[Path], name: str, at: tuple[str | int, ...]) -> Feed | None:
    feed = kind.seeds.get(step.format)
    if feed is None:
        return None
    scope = reading.resolver.reader("inside", name)
    columns = _columns(reading, files[0], at) if step.csv is not None and files else []
    scope |= {"step": {"database": step.database or scope["self"]["first"].get("databases"), "into": step.into, "columns": columns}}
    command = reading.tree(feed.command, scope, *at)
    return Feed(tuple(map(str, command)), {key: str(value) for key, value in reading.tree(feed.env, scope, *at).items()}, feed.dialect)


def _columns(reading: Reading, path: Path, at: tuple[str | int, ...]) -> list[str]:
    try:
        found = header(path)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        what = "no UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        reading.problems.append(reading.problem((*at, "csv"), f"the header of '{path.name}' cannot be read: {what}"))
        return []
    if not any(found):
        reading.problems.append(reading.problem((*at, "csv"), f"'{path.name}' has no header", "its first line names the columns"))
    return found


def header(path: Path) -> list[str]:
    """The names in the first line of a CSV file."""
    open_text = gzip.open if path.suffix == ".gz" else open
    with open_text(path, "rt", encoding="utf-8-sig", newline="") as stream:
        return [name.strip() for name in next(csv.reader(stream), [])]


def _files(reading: Reading, step: SeedStep, at: tuple[str | int, ...]) -> Iterator[Path]:
    named = step.sql or step.csv
    if named is not None:
        path = reading.loaded.path(named, at)
        yield from sorted(p for p in path.iterdir() if p.name.endswith((".sql", ".sql.gz"))) if path.is_dir() else [path]


def _inputs(reading: Reading, step: SeedStep, at: tuple[str | int, ...]) -> Iterator[Path]:
    for number, pattern in enumerate(step.inputs):
        folder = reading.loaded.base((*at, "inputs", number))
        # Not Path.glob: before Python 3.13 its `**` finds folders only.
        found = (folder / name for name in glob.iglob(pattern, root_dir=folder, recursive=True))
        yield from sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def _hash(step: SeedStep, files: Iterable[Path], folder: Path) -> str:
    digest = hashlib.sha256(json.dumps(step.model_dump(mode="json", exclude={"needs"}), sort_keys=True).encode())
    for path in files:
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
