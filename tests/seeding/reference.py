"""Simple reference implementations of CSV and of the formats that servers read, for whole texts in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator

Field = bytes | None
FIELD = re.compile(rb'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|\r|\Z)')


def records(data: bytes) -> Iterator[tuple[int, list[Field]]]:
    """Yield the line number and the fields of each record, the header first; an empty line is not a record.

    Raises:
        ValueError: A quote is wrong; the argument is its line.
    """
    at = 0
    while at < len(data):
        began, fields, line_end = at, [], b","
        while line_end == b",":
            match = FIELD.match(data, at)
            if match is None:
                raise ValueError(line_of(data, at))
            fields.append(_value(match))
            at, line_end = match.end(), match.group(3)
        if fields != [None]:
            yield line_of(data, began), fields


def line_of(data: bytes, at: int) -> int:
    return 1 + len(re.findall(rb"\r\n|\n|\r", data[:at]))


def _value(match: re.Match[bytes]) -> Field:
    if match.group(1) is not None:
        return match.group(1).replace(b'""', b'"')
    return match.group(2) or None


def table(data: bytes) -> list[tuple[int, list[Field]]]:
    """Return the line number and the fields of each record after the header.

    Raises:
        ValueError: A quote is wrong, or a record has another length than the header; the argument is the line.
    """
    found: list[tuple[int, list[Field]]] = []
    for line, fields in records(data):
        if found and len(fields) != len(found[0][1]):
            raise ValueError(line)
        found.append((line, fields))
    return found[1:]


def from_copy(fed: bytes) -> list[list[Field]]:
    """Return the rows that PostgreSQL reads from *fed*; check that all line breaks outside quotes are LF and no line is empty."""
    unquoted = re.sub(rb'"(?:[^"]|"")*"', b"q", fed)
    assert b"\r" not in unquoted
    assert not re.search(rb"^(\\\.)?$", unquoted.removesuffix(b"\n"), re.MULTILINE) or not unquoted
    return [fields for _, fields in records(fed)]


def from_load_data(fed: bytes) -> list[list[Field]]:
    r"""Return the rows that MariaDB reads from *fed*: `\N` is NULL, and a backslash escapes the next byte."""
    known = {ord("n"): b"\n", ord("r"): b"\r", ord("t"): b"\t", ord("0"): b"\0", ord("\\"): b"\\"}

    def value(field: bytes) -> Field:
        if field == b"\\N":
            return None
        found, escaped = b"", False
        for byte in field:
            if escaped:
                found, escaped = found + known[byte], False
            elif byte == ord("\\"):
                escaped = True
            else:
                found += bytes([byte])
        return found

    return [[value(field) for field in line.split(b"\t")] for line in fed.split(b"\n")[:-1]]


READERS = {"postgres-csv": from_copy, "mysql-tsv": from_load_data}
