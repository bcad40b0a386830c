"""Load rows by table (YAML, JSON, JSONL) with the server's bulk loader; each value is written as the type of its column requires.

Consecutive rows of one table with the same columns are loaded together; a column that a row does not name gets its default. A step with
many rows is therefore as fast as CSV, and each such group is loaded completely or not at all.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from envctl.definition.yaml_parser import written
from envctl.engines import Execution
from envctl.plan.model import Step, Table
from envctl.seeding import PIECE, BadFile, Seeder, complaint, failed
from envctl.seeding.csv import COPY_LINE, ROW
from envctl.seeding.csv.dialects import DIALECTS, Dialect
from envctl.seeding.item_files import Item, items

Value = str | bytes | bool | None


class Row(NamedTuple):
    where: str
    table: str
    values: Mapping[str, Value]


def load(step: Step, seeder: Seeder) -> None:
    load_rows(step, seeder, lambda: _rows(step, items(step, seeder.plan.setting.project, spread=True)))


def _rows(step: Step, found: Iterable[Item]) -> Iterator[Row]:
    for where, table, value in found:
        if table is None:
            table = step.step.into
        elif step.step.into is not None:
            raise BadFile("this is a map of tables, and `into` names one; leave one of them out", place=where)
        if table is None:
            raise BadFile("no table is named; add `into: TABLE`", place=where)
        if not isinstance(value, dict) or not value:
            raise BadFile(f"a row of '{table}' is a map of columns to values", place=where)
        yield Row(where, table, value)


def load_rows(step: Step, seeder: Seeder, read: Callable[[], Iterable[Row]]) -> None:
    """Load the rows that *read* returns; *read* must return the same rows on each call.

    Raises:
        ServiceFailed: Loading failed; the error has the place of the row and the server's message.
    """
    assert step.feed is not None
    assert step.feed_for is not None
    dialect = DIALECTS[step.feed.dialect]
    try:
        for number, (table, rows) in enumerate(_groups(read())):
            feed = step.feed_for(table)
            ran = seeder.deployment.execute(step.service, Execution(feed.command, feed.env, _sent(table, rows, dialect)))
            if ran.status:
                raise failed(step, _place(step, read, number, ran.output, dialect), ran.output, ran.status, complaint(ran.output))
    except BadFile as error:
        raise failed(step, error.where(step.files[0]) if step.files else step.where, str(error)) from None


def _groups(rows: Iterable[Row]) -> Iterator[tuple[Table, Iterator[Row]]]:
    """Yield groups of rows that one command loads. Each group must be read to its end before the next one is requested."""
    found = (row._replace(values=_values(row)) for row in rows)
    head = next(found, None)
    while head is not None:
        table = Table(head.table, tuple(head.values), frozenset(name for name, value in head.values.items() if isinstance(value, bytes)))
        group = _Group(table, head, found)
        yield table, iter(group)
        head = group.next


class _Group:
    """The rows of one group; after iteration, `next` is the first row of the next group."""

    def __init__(self, table: Table, first: Row, found: Iterator[Row]) -> None:
        self.next: Row | None = None
        self._table, self._first, self._found = table, first, found

    def __iter__(self) -> Iterator[Row]:
        yield self._first
        for row in self._found:
            if not _belongs(row, self._table):
                self.next = row
                return
            yield row


def _belongs(row: Row, table: Table) -> bool:
    if row.table != table.name or row.values.keys() != set(table.columns):
        return False
    return all(value is None or isinstance(value, bytes) == (name in table.binary) for name, value in row.values.items())


def _sent(table: Table, rows: Iterable[Row], dialect: Dialect) -> Iterator[bytes]:
    """Yield the group's rows as the server's bulk loader reads them.

    After any error, send the dialect's `spoil`, so that the server refuses the input: if the input only ended early, the server would
    commit the rows before the error.
    """
    chunk = bytearray()
    try:
        for row in rows:
            chunk += _record(row, table, dialect)
            if len(chunk) >= PIECE:
                yield dialect.write(bytes(chunk))
                chunk.clear()
        yield dialect.write(bytes(chunk))
    except Exception:
        yield dialect.spoil
        raise


def _record(row: Row, table: Table, dialect: Dialect) -> bytes:
    try:
        fields = [_field(row.values[name], dialect) for name in table.columns]
    except UnicodeEncodeError as error:
        raise BadFile(str(error), place=row.where) from None
    for byte, why in dialect.refused.items():
        if any(byte in field for field in fields):
            raise BadFile(why, place=row.where)
    if fields == [b""]:
        raise BadFile("a row of one column that is NULL would be an empty line; name another column, too", place=row.where)
    return b",".join(fields) + b"\n"


def _field(value: Value, dialect: Dialect) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bool):
        return dialect.booleans[value]
    content = dialect.binary(value) if isinstance(value, bytes) else value.encode()
    return b'"' + content.replace(b'"', b'""') + b'"'


def _values(row: Row) -> dict[str, Value]:
    try:
        return {name: _value(value) for name, value in row.values.items()}
    except ValueError as error:
        raise BadFile(str(error), place=row.where) from None


def _value(value: Any) -> Value:
    """Return a value as the text that its column accepts; bytes stay bytes."""
    if value is None or isinstance(value, str | bytes | bool):
        return value
    if isinstance(value, int | float):
        return written(value)
    if isinstance(value, dict) and value.keys() == {"$base64"}:
        return _unpacked(value["$base64"])
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _unpacked(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except binascii.Error as error:
        raise ValueError(f"`$base64`: {error}") from None


def _place(step: Step, read: Callable[[], Iterable[Row]], number: int, output: str, dialect: Dialect) -> str:
    """Return the place of the row that the server's message names, or else the place of its group's first row."""
    table, rows = next(group for index, group in enumerate(_run_through(read())) if index == number)
    found = COPY_LINE.search(output) or ROW.search(output)
    wanted, counted, first = int(found[1]) if found else 0, 0, ""
    for row in rows:
        first = first or row.where
        lines = _record(row, table, dialect).rstrip(b"\n").count(b"\n") if found and found.re is COPY_LINE else 0
        counted += 1 + lines
        if counted >= wanted > 0:
            return row.where
    return first


def _run_through(rows: Iterable[Row]) -> Iterator[tuple[Table, Iterator[Row]]]:
    """Yield the groups; read the groups that the caller skips to their end."""
    for table, group in _groups(rows):
        first = next(group)
        yield table, chain([first], group)
        for _ in group:
            pass
