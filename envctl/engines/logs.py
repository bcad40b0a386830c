"""What services print, in pieces: a log is as long as it likes, and nobody holds more of it than a piece and a line."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

PIECE = 1 << 16
LONGEST = 1 << 20
"""Bytes of a line; a longer one counts as several."""


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of whole lines; the last line may lack its end."""
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
    """The last *lines* of them, with their ends; all pieces for None."""
    if lines is None:
        return pieces
    return deque((line for block in whole_lines(pieces) for line in block.splitlines(keepends=True)), lines)


def text(pieces: Iterable[bytes]) -> str:
    """The last of them, some `LONGEST` bytes, as text."""
    return ending(pieces, LONGEST)[0].decode(errors="replace")


def ending(pieces: Iterable[bytes], most: int) -> tuple[bytes, int]:
    """The last *most* bytes, and how many there are before them."""
    kept, before = bytearray(), 0
    for piece in pieces:
        kept += piece
        if len(kept) > 2 * most:
            before += len(kept) - most
            del kept[:-most]
    over = max(len(kept) - most, 0)
    return bytes(kept[over:]), before + over
