"""Split CSV into checked chunks of whole records, however the input is cut into pieces.

The standard library's `csv` cannot tell NULL from an empty string before Python 3.12, and takes ten times as long as one regular expression
that follows RFC 4180. The expression's quantifiers are possessive (`*+`), so it neither backtracks nor stores positions for backtracking.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from envctl.seeding import BadFile

LARGEST = 64 << 20
"""The maximum size of a record in bytes; a longer record means an unclosed quote, so the rest of the file need not be held in memory."""
QUOTES = "a quote that is not closed, or one in the middle of a field; quotes inside a field must be doubled"

_FIELD = rb'(?:"[^"]*+(?:""[^"]*+)*+"|[^",\r\n]*+)'
_END = rb"(?:\r\n|\n|\r)"
FIELD = re.compile(_FIELD + rb"(,|" + _END + rb")")
RECORD = re.compile(rb"(?:" + _FIELD + rb",)*+" + _FIELD + _END)
BEGUN = re.compile(rb"(?:" + _FIELD + rb',)*+(?:"[^"]*+(?:""[^"]*+)*+"?+|[^",\r\n]*+)')
"""The pattern of an incomplete record."""
BLANK = re.compile(rb"[\r\n]*+")


class Chunk(NamedTuple):
    """Consecutive records, each with its line end, and the number of the line in which the first one begins."""

    line: int
    data: bytes


def chunks(pieces: Iterable[bytes]) -> Iterator[Chunk]:
    """Yield the records after the header; empty lines, which are not records, stay in the chunks.

    Raises:
        BadFile: A record has another number of fields than the header, or its quotes are wrong.
    """
    reader = _Reader()
    for piece in _whole_line_ends(pieces):
        yield from reader.take(piece)
    yield from reader.close()


def rows(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the same records one by one, each with the number of its first line."""
    for chunk in chunks(pieces):
        line = chunk.line
        for record in RECORD.findall(chunk.data):
            if record.strip(b"\r\n"):
                yield line, record
            line += lines_in(record)


def lines_in(text: bytes | bytearray) -> int:
    """Return the number of line ends in *text*: LF, CR or CRLF."""
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")


def _whole_line_ends(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield *pieces* cut so that no piece ends between CR and LF, and with a line end after the last line."""
    held, last = b"", b"\n"
    for piece in pieces:
        whole = held + piece
        held = b"\r" if whole.endswith(b"\r") else b""
        last = whole[-1:] or last
        yield whole.removesuffix(held)
    yield held if last in b"\r\n" else b"\n"


class _Reader:
    """The part of the input that is not a complete record yet."""

    def __init__(self) -> None:
        self._line = 1
        self._width = 0
        self._records = BLANK
        self._rest = bytearray()
        self._tried = 0

    def take(self, piece: bytes) -> Iterator[Chunk]:
        self._rest += piece
        # Matching a long record again for each piece would take quadratic time.
        if len(self._rest) >= 2 * self._tried:
            yield from self._whole()
            self._tried = len(self._rest)
            if self._tried > LARGEST or not BEGUN.fullmatch(self._rest):
                raise self._mistake()

    def close(self) -> Iterator[Chunk]:
        yield from self._whole()
        if self._rest:
            raise self._mistake()

    def _whole(self) -> Iterator[Chunk]:
        if not self._width:
            self._take_header()
        line, data = self._line, self._cut(self._records)
        if data:
            yield Chunk(line, data)

    def _take_header(self) -> None:
        self._cut(BLANK)
        if header := self._cut(RECORD):
            self._width = len(FIELD.findall(header))
            fields = rb"(?:" + _FIELD + rb",){%d}+" % (self._width - 1) + _FIELD
            self._records = re.compile(rb"(?:" + fields + _END + rb"|" + _END + rb")*+")

    def _cut(self, pattern: re.Pattern[bytes]) -> bytes:
        """Remove what *pattern* matches at the start of the rest, and return it."""
        found = pattern.match(self._rest)
        data = bytes(found[0]) if found else b""
        del self._rest[: len(data)]
        self._line += lines_in(data)
        return data

    def _mistake(self) -> BadFile:
        at, fields = 0, 0
        while field := FIELD.match(self._rest, at):
            at, fields = field.end(), fields + 1
            if field[1] != b",":
                return BadFile(f"{fields} fields where the header has {self._width}", self._line)
        return BadFile(QUOTES, self._line + lines_in(self._rest[:at]))
