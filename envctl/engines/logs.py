"""The output of services in pieces: a log may have any size, and only one piece and one line of it are in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

PIECE = 1 << 16
"""The number of bytes that are read at once."""
LONGEST = 1 << 20
"""The longest line in bytes; a longer one counts as several lines."""


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces that end with a newline; only the last piece may lack it."""
    rest = b""
    for piece in pieces:
        ended, newline, begun = piece.rpartition(b"\n")
        if newline:
            yield rest + ended + newline
            rest = begun
        else:
            rest += piece
        if len(rest) > LONGEST:
            yield rest
            rest = b""
    if rest:
        yield rest


def last(pieces: Iterable[bytes], lines: int | None) -> Iterable[bytes]:
    """Return the last *lines* lines, with their newlines; if *lines* is None, return all pieces."""
    if lines is None:
        return pieces
    return deque((line for block in whole_lines(pieces) for line in block.splitlines(keepends=True)), lines)


def text(pieces: Iterable[bytes]) -> str:
    """Return the last `LONGEST` bytes of the pieces as text."""
    return ending(pieces, LONGEST)[0].decode(errors="replace")


def ending(pieces: Iterable[bytes], most: int) -> tuple[bytes, int]:
    """Return the last *most* bytes of the pieces, and the number of bytes before them."""
    kept, before = bytearray(), 0
    for piece in pieces:
        kept += piece
        if len(kept) > 2 * most:
            before += len(kept) - most
            del kept[:-most]
    over = max(len(kept) - most, 0)
    return bytes(kept[over:]), before + over
