"""Chunks of CSV as each server's bulk loader reads them: whole chunks at a time, never a field by itself."""

from __future__ import annotations

import re
from binascii import hexlify
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Dialect:
    """How a chunk is written, and which bytes the server cannot take, with the reason."""

    write: Callable[[bytes], bytes]
    spoil: bytes
    """At the end of the input, it makes the server refuse all of it."""
    refused: Mapping[bytes, str] = field(default_factory=dict)
    binary: Callable[[bytes], bytes] = bytes
    """A value of bytes as the field of a text."""
    booleans: tuple[bytes, bytes] = (b"false", b"true")


QUOTED = re.compile(rb'("[^"]*+(?:""[^"]*+)*+")')
INSIDE_QUOTES = re.compile(rb'"([^"]*+(?:""[^"]*+)*+)"')
BLANK_LINES = re.compile(rb"\n\n+")
END_OF_COPY = re.compile(rb"^\\\.$", re.MULTILINE)


def postgres_csv(chunk: bytes) -> bytes:
    r"""What COPY ... (FORMAT csv) reads: the chunk itself, but for what COPY refuses (line ends of several sorts, blank lines)
    and a line `\.`, at which psql and the server would stop without a word."""
    if b"\r" not in chunk and b"\n\n" not in chunk and b"\n\\." not in chunk and not chunk.startswith((b"\n", b"\\.")):
        return chunk
    parts = QUOTED.split(chunk)
    unquoted = END_OF_COPY.sub(rb'"\\."', _lines(b"\0".join(parts[::2])))
    parts[::2] = unquoted.split(b"\0")
    return b"".join(parts)


def mysql_tsv(chunk: bytes) -> bytes:
    r"""What LOAD DATA reads by default: tabs, backslashes as escapes, \N for NULL.

    Once tabs and NULs are escaped, a tab marks where quotes were, and a NUL is a comma within them.
    """
    parts = INSIDE_QUOTES.split(_replaced(chunk, (b"\\", b"\\\\"), (b"\t", b"\\t"), (b"\0", b"\\0")))
    if len(parts) > 1:
        inside = _replaced(b"\t".join(parts[1::2]), (b'""', b'"'), (b"\n", b"\\n"), (b"\r", b"\\r"), (b",", b"\0"))
        parts[1::2] = inside.split(b"\t")
    text = b"\n" + _lines(b"\t".join(parts))
    # Twice, since two empty fields share a comma.
    text = _replaced(text, (b",,", b",\\N,"), (b",,", b",\\N,"), (b"\n,", b"\n\\N,"), (b",\n", b",\\N\n"))
    return _replaced(text[1:], (b"\t", b""), (b",", b"\t"), (b"\0", b","))


def _lines(unquoted: bytes) -> bytes:
    """All line ends of one sort, and no blank lines."""
    return BLANK_LINES.sub(b"\n", _replaced(unquoted, (b"\r\n", b"\n"), (b"\r", b"\n"))).removeprefix(b"\n")


def _replaced(text: bytes, *pairs: tuple[bytes, bytes]) -> bytes:
    for old, new in pairs:
        text = text.replace(old, new)
    return text


DIALECTS = {
    # A quote that does not close.
    "postgres-csv": Dialect(
        postgres_csv, b'"', {b"\0": "a NUL byte, which a text of PostgreSQL cannot hold"}, lambda value: b"\\x" + hexlify(value)
    ),
    # A row of more fields than a table can have: a warning, which the command makes an error.
    "mysql-tsv": Dialect(mysql_tsv, b"\t" * 4096 + b"\n", binary=hexlify, booleans=(b"0", b"1")),
}
