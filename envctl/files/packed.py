"""Read files of a project that may be compressed: `.gz` and `.zst` files are decompressed while they are read."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import Any

from envctl.files.reading import open_file

ENDINGS = (".gz", ".zst")


def with_packed(*endings: str) -> tuple[str, ...]:
    """Return the file name *endings*, each plain and with every ending of a compressed file."""
    return tuple(ending + packed for packed in ("", *ENDINGS) for ending in endings)


def plain_name(path: Path) -> str:
    """Return the file name of *path* without the ending of a compressed file."""
    return path.name.removesuffix(path.suffix) if path.suffix in ENDINGS else path.name


class NotUnpacked(OSError):
    """The content of a file is not in the format that its name announces, or is incomplete."""


@contextmanager
def open_unpacked(path: Path, root: Path) -> Iterator[BufferedIOBase]:
    """Yield a stream of the decompressed content of *path*, which lies below *root*.

    Raises:
        FileRefused, OSError: as by `open_file`.
        NotUnpacked: the compressed data is damaged or incomplete.
    """
    with open_file(path, root) as packed, unpacked(path, packed) as stream:
        yield stream


@contextmanager
def unpacked(path: Path, packed: BufferedReader) -> Iterator[BufferedIOBase]:
    """Yield a stream of the decompressed content of *path*. *packed* is the open file; it is not closed.

    Raises:
        NotUnpacked: the compressed data is damaged or incomplete.
    """
    # Imported only here: the import takes half as long as the rest of the command line.
    zstd: Any = _zstd() if path.suffix == ".zst" else None
    damaged = (EOFError, zlib.error, gzip.BadGzipFile, *([zstd.ZstdError] if zstd else []))
    try:
        if path.suffix == ".gz":
            with gzip.open(packed) as stream:
                yield stream
        elif zstd:
            with zstd.open(packed) as stream:
                yield stream
        else:
            yield packed
    except damaged as error:
        raise NotUnpacked(str(error)) from None


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
