"""The one door by which files of a project are read: whoever could put a link there could read the files of whoever runs envctl.

Links lead to places inside the project only, files are ordinary ones of a limited size, and what was looked at is what is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from envctl.files.folders import FileRefused, opened_folder

LARGEST = 64 * 1024 * 1024
"""Bytes of a file that is held in memory as a whole."""


def open_file(path: Path, root: Path, *, largest: int | None = None) -> BufferedReader:
    """The ordinary file *path*, which lies below *root*, links resolved.

    Args:
        largest: bytes that it may have.

    Raises:
        FileRefused: it lies outside, is not a regular file, or is larger.
        OSError: it is not there, or may not be read.
    """
    below, real = Path(os.path.realpath(root)), Path(os.path.realpath(path))
    if not real.is_relative_to(below):
        raise FileRefused(f"{path} is outside of {root}")
    with opened_folder(below, real.relative_to(below).parts[:-1]) as folder:
        descriptor = opened_file(folder, real.name, path)
    size = os.fstat(descriptor).st_size
    if largest is not None and size > largest:
        os.close(descriptor)
        raise FileRefused(f"{path} has more than {_bytes(largest)}")
    return os.fdopen(descriptor, "rb")


def opened_file(folder: int, name: str, path: Path) -> int:
    """The descriptor of the ordinary file *name* in an opened folder; errors call it *path*.

    Looked at before it is opened, since to open a device or a pipe may do something, and after, since it may be another one by then.
    """
    if stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=folder)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    raise FileRefused(f"{path} is not a regular file")


def read_file(path: Path, root: Path, *, largest: int = LARGEST) -> bytes:
    """What the file holds.

    Raises:
        FileRefused, OSError: as by `open_file`.
    """
    with open_file(path, root, largest=largest) as stream:
        content = stream.read(largest + 1)
    if len(content) > largest:  # it grew
        raise FileRefused(f"{path} has more than {_bytes(largest)}")
    return content


def files_below(folder: Path, root: Path) -> Iterator[Path]:
    """The ordinary files below *folder*, in the order of their paths; links to files count, links to folders do not.

    Raises:
        FileRefused: a link leads out of *root*.
    """
    below = os.path.realpath(root)
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(below):
            raise FileRefused(f"{path} leads outside of {root}")
        if path.is_file():
            yield path


def _bytes(number: int) -> str:
    return f"{number // 1_000_000} MB" if number >= 1_000_000 else f"{number} bytes"
