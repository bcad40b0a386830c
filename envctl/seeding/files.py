"""Seed files, also .gz, as pieces that are never all in memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

PIECE = 1 << 18
BOM = b"\xef\xbb\xbf"


class BadFile(Exception):
    """It cannot be read, or what it holds is malformed, in *line*.

    No OSError: whoever feeds a command takes that for the command's end, and a file that ends early would count as loaded.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line

    def where(self, path: Path) -> str:
        return str(path) if self.line is None else f"{path}:{self.line}"


def pieces(path: Path) -> Iterator[bytes]:
    """The bytes of *path*, unpacked.

    Raises:
        BadFile: it cannot be read to its end.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            while piece := stream.read(PIECE):
                yield piece
    except (OSError, EOFError, zlib.error) as error:
        raise BadFile(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from None


def texts(path: Path) -> Iterator[bytes]:
    """The same without the mark that some editors put before UTF-8."""
    begun = False
    for piece in pieces(path):
        yield piece if begun else piece.removeprefix(BOM)
        begun = True
