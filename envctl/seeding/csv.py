"""CSV with a header line (also .gz) through the server's bulk loader; unquoted empty is NULL, quoted empty is text.

`csv` of the standard library cannot tell the two apart before Python 3.12, so the fields are found by an expression that
follows RFC 4180.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from envctl.engines import Execution
from envctl.plan.model import Step
from envctl.seeding import Seeder, failed
from envctl.seeding.sql import PIECE, first_error

FIELD = re.compile(rb'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|\r|\Z)')
ROWS_LINE = re.compile(r"COPY .*, line (\d+)|at row (\d+)")
BOM = b"\xef\xbb\xbf"

Field = bytes | None


def load(step: Step, seeder: Seeder) -> None:
    assert step.feed is not None
    path = step.files[0]
    data = content(path)
    try:
        rows = WRITERS[step.feed.dialect](data)
    except BadCsv as error:
        raise failed(step, f"{path}:{error.line}", str(error)) from None
    ran = seeder.project.execute(step.service, Execution(step.feed.command, step.feed.env, _gathered(rows)))
    if ran.status:
        raise failed(step, _where(path, data, ran.output), first_error(ran.output), ran.status)


class BadCsv(ValueError):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def content(path: Path) -> bytes:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return data.removeprefix(BOM)


def records(data: bytes) -> Iterator[tuple[int, list[Field]]]:
    """Line number and fields of each record, the header first; an empty line is no record.

    Raises:
        BadCsv: quotes that do not close, or stand in the middle of a field.
    """
    at, line = 0, 1
    while at < len(data):
        began, fields, line_end = line, [], b","
        while line_end == b",":
            match = FIELD.match(data, at)
            if match is None:
                raise BadCsv(line, "a quote that does not close, or one in the middle of a field; quotes inside are doubled")
            fields.append(_value(match))
            line += match.group().count(b"\n") or match.group().count(b"\r")
            at, line_end = match.end(), match.group(3)
        if fields != [None]:
            yield began, fields


def _value(match: re.Match[bytes]) -> Field:
    if match.group(1) is not None:
        return match.group(1).replace(b'""', b'"')
    return match.group(2) or None


def checked(data: bytes) -> list[list[Field]]:
    """The records after the header, each as long as it: all of them, before any is sent."""
    columns, found = 0, []
    for line, fields in records(data):
        columns = columns or len(fields)
        if len(fields) != columns:
            raise BadCsv(line, f"{len(fields)} fields where the header has {columns}")
        found.append(fields)
    return found[1:]


def postgres_csv(data: bytes) -> Iterator[bytes]:
    """What COPY ... (FORMAT csv) reads: the file itself, unless it mixes line ends or has blank lines, which COPY refuses."""
    returns, breaks = data.count(b"\r"), data.count(b"\n")
    blank = data.startswith((b"\n", b"\r")) or b"\n\n" in data or b"\r\n\r\n" in data
    if returns in (0, breaks) and data.count(b"\r\n") == returns and not blank:
        return _body(data)
    return _quoted(checked(data))


def _body(data: bytes) -> Iterator[bytes]:
    at = _end_of_header(data)
    for start in range(at, len(data), PIECE):
        yield data[start : start + PIECE]


def _end_of_header(data: bytes) -> int:
    at, end = 0, b","
    while end == b"," and (match := FIELD.match(data, at)):
        at, end = match.end(), match.group(3)
    return at


def _quoted(rows: list[list[Field]]) -> Iterator[bytes]:
    for fields in rows:
        yield b",".join(b"" if field is None else b'"' + field.replace(b'"', b'""') + b'"' for field in fields) + b"\n"


def mysql_tsv(data: bytes) -> Iterator[bytes]:
    r"""What LOAD DATA reads by default: tabs, backslashes as escapes, \N for NULL."""
    return _escaped(checked(data))


def _escaped(rows: list[list[Field]]) -> Iterator[bytes]:
    escapes = {ord("\\"): b"\\\\", ord("\t"): b"\\t", ord("\n"): b"\\n", ord("\r"): b"\\r", 0: b"\\0"}
    pattern = re.compile(rb"[\\\t\n\r\0]")
    for fields in rows:
        texts = (b"\\N" if field is None else pattern.sub(lambda m: escapes[m.group()[0]], field) for field in fields)
        yield b"\t".join(texts) + b"\n"


WRITERS = {"postgres-csv": postgres_csv, "mysql-tsv": mysql_tsv}


def _gathered(rows: Iterator[bytes]) -> Iterator[bytes]:
    """Rows in pieces of some size: one write each would cost more than the rows."""
    buffer = bytearray()
    for row in rows:
        buffer += row
        if len(buffer) >= PIECE:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


def _where(path: Path, data: bytes, output: str) -> str:
    """MariaDB counts the records that it got; PostgreSQL their lines, except those within the first one's quotes."""
    found = ROWS_LINE.search(output)
    if not found:
        return str(path)
    of_lines, wanted, counted = bool(found.group(1)), int(found.group(1) or found.group(2)), 0
    for number, (line, fields) in enumerate(islice(records(data), 1, None)):
        counted += 1 + (sum((field or b"").count(b"\n") for field in fields) if of_lines and number else 0)
        if counted >= wanted:
            return f"{path}:{line}"
    return str(path)
