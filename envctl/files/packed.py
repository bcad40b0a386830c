"""Files of a project that may be packed: `.gz` and `.zst` are unpacked as they are read."""

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
    """*endings*, plain and packed."""
    return tuple(ending + packed for packed in ("", *ENDINGS) for ending in endings)


def plain_name(path: Path) -> str:
    """The name of what is packed in *path*."""
    return path.name.removesuffix(path.suffix) if path.suffix in ENDINGS else path.name


class NotUnpacked(OSError):
    """It does not hold what its name says, or not all of it."""


@contextmanager
def open_unpacked(path: Path, root: Path) -> Iterator[BufferedIOBase]:
    """The bytes of *path*, which lies below *root*.

    Raises:
        FileRefused, OSError: as by `open_file`.
        NotUnpacked: what is packed is damaged, or ends early.
    """
    with open_file(path, root) as packed, unpacked(path, packed) as stream:
        yield stream


@contextmanager
def unpacked(path: Path, packed: BufferedReader) -> Iterator[BufferedIOBase]:
    """The bytes of *path*, which is open as *packed* and stays so.

    Raises:
        NotUnpacked: what is packed is damaged, or ends early.
    """
    # Imported when it is needed: it takes as long as half of the command line.
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
