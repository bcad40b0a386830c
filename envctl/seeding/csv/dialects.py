"""Convert chunks of CSV to the input of each server's bulk loader; whole chunks at once, which is faster than field by field."""

from __future__ import annotations

import re
from binascii import hexlify
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Dialect:
    """How a chunk is written, and which bytes the server does not accept, with the reason."""

    write: Callable[[bytes], bytes]
    spoil: bytes
    """The bytes that, at the end of the input, make the server refuse the whole input."""
    refused: Mapping[bytes, str] = field(default_factory=dict)
    binary: Callable[[bytes], bytes] = bytes
    """Encodes a binary value as the text of a field."""
    booleans: tuple[bytes, bytes] = (b"false", b"true")


QUOTED = re.compile(rb'("[^"]*+(?:""[^"]*+)*+")')
INSIDE_QUOTES = re.compile(rb'"([^"]*+(?:""[^"]*+)*+)"')
BLANK_LINES = re.compile(rb"\n\n+")
END_OF_COPY = re.compile(rb"^\\\.$", re.MULTILINE)


def postgres_csv(chunk: bytes) -> bytes:
    r"""Return the chunk as COPY ... (FORMAT csv) reads it.

    This is the chunk itself, except where COPY refuses it (mixed line ends, blank lines) or where a line `\.` would silently end the input
    for psql and the server.
    """
    if b"\r" not in chunk and b"\n\n" not in chunk and b"\n\\." not in chunk and not chunk.startswith((b"\n", b"\\.")):
        return chunk
    parts = QUOTED.split(chunk)
    unquoted = END_OF_COPY.sub(rb'"\\."', _lines(b"\0".join(parts[::2])))
    parts[::2] = unquoted.split(b"\0")
    return b"".join(parts)


def mysql_tsv(chunk: bytes) -> bytes:
    r"""Return the chunk as LOAD DATA reads it by default: tab-separated, with backslash escapes and \N for NULL.

    Once tabs and NULs are escaped, a tab marks the place of a quote, and a NUL stands for a comma within quotes.
    """
    parts = INSIDE_QUOTES.split(_replaced(chunk, (b"\\", b"\\\\"), (b"\t", b"\\t"), (b"\0", b"\\0")))
    if len(parts) > 1:
        inside = _replaced(b"\t".join(parts[1::2]), (b'""', b'"'), (b"\n", b"\\n"), (b"\r", b"\\r"), (b",", b"\0"))
        parts[1::2] = inside.split(b"\t")
    text = b"\n" + _lines(b"\t".join(parts))
    # Replaced twice, because two adjacent empty fields share a comma.
    text = _replaced(text, (b",,", b",\\N,"), (b",,", b",\\N,"), (b"\n,", b"\n\\N,"), (b",\n", b",\\N\n"))
    return _replaced(text[1:], (b"\t", b""), (b",", b"\t"), (b"\0", b","))


def _lines(unquoted: bytes) -> bytes:
    """Return the text with uniform line ends and without blank lines."""
    return BLANK_LINES.sub(b"\n", _replaced(unquoted, (b"\r\n", b"\n"), (b"\r", b"\n"))).removeprefix(b"\n")


def _replaced(text: bytes, *pairs: tuple[bytes, bytes]) -> bytes:
    for old, new in pairs:
        text = text.replace(old, new)
    return text


DIALECTS = {
    # The spoiling bytes are a quote that is never closed.
    "postgres-csv": Dialect(
        postgres_csv, b'"', {b"\0": "a NUL byte, which a text of PostgreSQL cannot hold"}, lambda value: b"\\x" + hexlify(value)
    ),
    # The spoiling bytes are a row with more fields than a table can have; the server warns about it, and the command turns the warning into
    # an error.
    "mysql-tsv": Dialect(mysql_tsv, b"\t" * 4096 + b"\n", binary=hexlify, booleans=(b"0", b"1")),
}
