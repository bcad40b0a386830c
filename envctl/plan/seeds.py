"""Seed steps with their files found, their texts evaluated, and a hash of everything that their result depends on."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from envctl.definition.expressions import Reference, has_expression
from envctl.definition.kinds import Kind, SeedFeed
from envctl.definition.matching import matching
from envctl.definition.models import SeedStep, Service
from envctl.files.folders import FileRefused
from envctl.files.packed import open_unpacked, unpacked
from envctl.files.reading import files_below
from envctl.plan.known_digests import known_digests
from envctl.plan.model import Feed, File, Step, Table
from envctl.plan.reading import Reading, referred, texts
from envctl.plan.referenced_services import Subject
from envctl.plan.seed_hashes import chained, entries, faker_version, server_hash

At = tuple[str | int, ...]
LARGEST_HEADER = 200_000
"""The largest header in bytes; the largest table of PostgreSQL has 1,600 columns of 63 letters."""


def steps_of(reading: Reading, subject: Subject, service: Service, kind: Kind, image: str, given: Mapping[str, File]) -> Iterator[Step]:
    """Yield the steps in order. The hash of a step includes the hash of the server and of all steps before it.

    Args:
        given: the project's files in the server's container.
    """
    if not service.seed:
        return
    name = subject.name
    with reading.located("services", name):
        chain = server_hash(reading, subject, service, kind, image, given)
    for number, step in enumerate(service.seed):
        at = ("services", name, "seed", number)
        files, content = reading.once(at, partial(_read, reading, step, at))
        database = step.database or next(iter(subject.several.get("databases", ())), None)
        made_by = [faker_version()] if step.format == "generate" else []
        told = [_asked(reading, step), content, *made_by, *_told(reading, step, at)]
        chain = chained(reading, chain, database, step.model_dump(exclude={"needs"}), *told)
        if made_by == [None]:
            reading.wrong((*at, "generate"), "`generate` needs the package Faker", "`pip install envctl-testing[seeds]`")
        file, line = reading.loaded.source.at(at)
        feeds = _Feeds(reading, kind.seeds[step.format], step, name, at) if step.format in kind.seeds else None
        yield Step(
            service=name,
            number=number,
            step=step,
            hash=chain,
            files=files,
            folder=reading.loaded.path(step.file, at) if step.file is not None else Path(),
            where=f"{file}:{line}",
            command=(command := _command(reading, step, name, at)),
            needs=step.waits_for,
            feed=feeds.first(files) if feeds else None,
            inline=reading.tree(step.inline, reading.resolver.reader_in(name), *at, step.format) if step.inline is not None else None,
            feed_for=feeds.table if feeds else None,
            personal=_is_personal(reading, step, command),
        )


def _is_personal(reading: Reading, step: SeedStep, command: Sequence[str]) -> bool:
    """Return whether the data of the step belongs to one instance only.

    Addresses and logins that a program gets do not count, because it only uses them to connect. A secret in its command does count,
    because it may be in the data that the program creates.
    """
    told = [*texts(step.model_dump(exclude={"needs", "command"}))]
    return any(map(has_expression, told)) or any(secret in text for text in (*told, *command) for secret in reading.loaded.secrets)


def _asked(reading: Reading, step: SeedStep) -> dict[str, Any]:
    """Return the service in which a command runs, or that requests call, for the hash. `inputs` cover the files that its image contains."""
    services = reading.loaded.definition.services if reading.loaded.definition else {}
    return services[step.in_].model_dump(include={"kind", "version", "image", "build", "run", "command"}) if step.in_ in services else {}


def _told(reading: Reading, step: SeedStep, at: At) -> list[tuple[str, str]]:
    """Return the variables that the command refers to, with their values. The command itself is part of the hash without evaluation."""
    values = {"var": reading.loaded.variables, "env": reading.setting.environ}
    found: list[Reference] = []
    with reading.located(*at, "command"):
        found = referred(step.command, values)
    return [(each.expression, str(values[each.root].get(name))) for each in found for name in each.path[:1]]


def _read(reading: Reading, step: SeedStep, at: At) -> tuple[tuple[Path, ...], list[tuple[str, str]]]:
    """Return the files of a step, and the paths and hashes of all its files and inputs."""
    files: tuple[Path, ...] = ()
    counted: list[tuple[str, str]] = []
    project, digests = reading.loaded.project, known_digests(reading.setting.environ)
    with reading.located(*at):
        files, folder = _files(reading, step, at)
        fits = partial(_is_text, reading, (*at, "sql")) if step.format == "sql" else None
        counted += entries(project, ((folder, path) for path in files), digests, fits)
        counted.append(("inputs", ""))
        counted += entries(project, _inputs(reading, step, at), digests)
    return files, counted


def _is_text(reading: Reading, at: At, path: Path, stream: io.BufferedReader) -> bool:
    """Return whether a client can read the file as SQL, judged by its first bytes; if not, add a problem."""
    head = b""
    with suppress(OSError, EOFError), unpacked(path, stream) as raw:  # the loader reports what is wrong with the file
        head = raw.read(5)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        hint = "save it as UTF-8; PowerShell's `>` writes UTF-16, and `pg_dump --file` or `mysqldump --result-file` does not"
        reading.wrong(at, f"'{path.name}' is UTF-16", hint)
    elif head == b"PGDMP":
        reading.wrong(at, f"'{path.name}' is an archive of pg_dump", "`restore: FILE` instead of `sql: FILE`")
    else:
        return True
    return False


def _command(reading: Reading, step: SeedStep, name: str, at: At) -> tuple[str, ...]:
    """Return the arguments of the command, with the addresses that its program can reach. `self` is the seeded service."""
    where = {None: None, "host": None, "server": name}.get(step.in_, step.in_)
    viewpoint = reading.addressing.standpoint(where)
    return reading.argv(step.command, reading.resolver.reader(viewpoint, name), *at, "command")


class _Feeds:
    """The texts of a kind's feed, evaluated for a step."""

    def __init__(self, reading: Reading, feed: SeedFeed, step: SeedStep, name: str, at: At) -> None:
        self._reading, self._feed, self._step, self._name, self._at = reading, feed, step, name, at

    def first(self, files: tuple[Path, ...]) -> Feed:
        """Return the feed as far as it is known before the data is read."""
        reading, step = self._reading, self._step
        has_header = step.file_format is not None and step.file_format.header and files
        read: Callable[[], list[str]] = partial(_columns, reading, files[0], (*self._at, step.format)) if has_header else list
        columns = reading.once((*self._at, "columns"), read)
        return self.table(Table(step.into or "", tuple(columns)))

    def table(self, table: Table) -> Feed:
        """Return the feed that loads *table*, or selects its columns."""
        reading, step, feed = self._reading, self._step, self._feed
        scope = dict(reading.resolver.reader_in(self._name))
        first = scope["self"]["first"].get("databases")
        scope["step"] = {
            "database": step.database or first,
            "into": table.name,
            "columns": list(table.columns),
            "binary": sorted(table.binary),
            "owners": step.owners,
        }
        command, select, env = (reading.tree(value, scope, *self._at) for value in (feed.command, feed.select, feed.env))
        return Feed(_words(command), {key: str(value) for key, value in env.items()}, feed.dialect, _words(select))


def _words(values: Sequence[Any]) -> tuple[str, ...]:
    """Return the arguments; an expression that returns a list becomes several arguments."""
    return tuple(str(word) for value in values for word in (value if isinstance(value, list) else [value]))


def _columns(reading: Reading, path: Path, at: At) -> list[str]:
    try:
        found = header(path, reading.loaded.project)
    except (FileRefused, OSError, UnicodeDecodeError, csv.Error) as error:
        what = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        reading.wrong(at, f"the header of '{path.name}' cannot be read: {what}")
        return []
    if not any(found):
        reading.wrong(at, f"'{path.name}' has no header", "its first line names the columns")
    elif "" in found:
        reading.wrong(at, f"'{path.name}': column {found.index('') + 1} of the header has no name", "its first line names all columns")
    elif len(found) == 1 and (separator := next((each for each in (";", "\t", "|") if each in found[0]), "")):
        shown = "a tab" if separator == "\t" else f"`{separator}`"
        hint = "save it with commas (in a spreadsheet: CSV UTF-8, comma delimited), and numbers with a point"
        reading.wrong(at, f"'{path.name}': {shown} separates its columns, where a comma is expected", hint)
    elif twice := next((name for number, name in enumerate(found) if name in found[:number]), None):
        reading.wrong(at, f"'{path.name}' has the column '{twice}' twice", "a server that accepts it would keep only one of the two values")
    return found


def header(path: Path, root: Path) -> list[str]:
    """Return the names in the first line of a CSV file.

    Raises:
        FileRefused, OSError: the file cannot be read.
        UnicodeDecodeError: the file is not UTF-8.
        csv.Error: the line is longer than any table's header, or contains a NUL, as binary files do.
    """
    with open_unpacked(path, root) as raw:
        content = raw.read(LARGEST_HEADER)
    stream = io.StringIO(codecs.getincrementaldecoder("utf-8-sig")().decode(content), newline="")
    found = [name.strip() for name in next(csv.reader(stream), [])]
    if len(content) == LARGEST_HEADER and not stream.read(1):
        raise csv.Error(f"its first line has more than {LARGEST_HEADER // 1000} kB")
    if any("\0" in name for name in found):  # before Python 3.11, csv itself raised this error
        raise csv.Error("line contains NUL, so this is not CSV in UTF-8")
    return found


def _files(reading: Reading, step: SeedStep, at: At) -> tuple[tuple[Path, ...], Path]:
    """Return the files that are loaded into the server, in order, and the folder that contains them."""
    if step.file is None or step.file_format is None:
        return (), Path()
    path = reading.loaded.path(step.file, at)
    if not path.is_dir():
        return (path,), path.parent
    if step.file_format.whole_folders:
        return tuple(files_below(path, reading.loaded.project)), path
    return tuple(sorted(p for p in path.iterdir() if p.name.endswith(step.file_format.in_folders))), path


def _inputs(reading: Reading, step: SeedStep, at: At) -> Iterator[tuple[Path, Path]]:
    """Yield each input, and the folder to which its pattern is relative."""
    for number, pattern in enumerate(step.inputs):
        folder = reading.loaded.base((*at, "inputs", number))
        found = (folder / name for name in matching(pattern, folder))
        yield from ((folder, path) for path in sorted(found) if path.is_file() and "__pycache__" not in path.parts)
