"""The only functions that read files of a project.

A project may contain links that were placed there to make envctl read other files of its user. Therefore links may only lead to places
inside the project, only regular files of a limited size are read, and the file that was checked is the file that is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from envctl.files.folders import FileRefused, opened_folder

LARGEST = 64 * 1024 * 1024
"""The maximum size in bytes of a file that is read into memory as a whole."""


def open_file(path: Path, root: Path, *, largest: int | None = None) -> BufferedReader:
    """Open the regular file *path*, which must lie below *root* after all links are resolved.

    Args:
        largest: the maximum size in bytes.

    Raises:
        FileRefused: the file lies outside of *root*, is not a regular file, or is too large.
        OSError: the file does not exist or cannot be read.
    """
    below, real = Path(os.path.realpath(root)), Path(os.path.realpath(path))
    if not real.is_relative_to(below):
        raise FileRefused(f"{path} is outside of {root}")
    with opened_folder(below, real.relative_to(below).parts[:-1]) as folder:
        descriptor = opened_file(folder, real.name, path)
    size = os.fstat(descriptor).st_size
    if largest is not None and size > largest:
        os.close(descriptor)
        raise FileRefused(f"{path} is larger than {_bytes(largest)}")
    return os.fdopen(descriptor, "rb")


def opened_file(folder: int, name: str, path: Path) -> int:
    """Return the descriptor of the regular file *name* in an open folder; error messages call the file *path*.

    The type is checked before opening, since opening a device or a pipe can have side effects, and again afterwards, since the file may
    have been replaced in between.

    Raises:
        FileRefused: *name* is not a regular file.
        OSError: *name* does not exist or cannot be read.
    """
    if stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=folder)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    raise FileRefused(f"{path} is not a regular file")


def read_file(path: Path, root: Path, *, largest: int = LARGEST) -> bytes:
    """Return the content of the file; *largest* is its maximum size in bytes.

    Raises:
        FileRefused, OSError: as by `open_file`.
    """
    with open_file(path, root, largest=largest) as stream:
        content = stream.read(largest + 1)
    if len(content) > largest:  # it grew while it was read
        raise FileRefused(f"{path} is larger than {_bytes(largest)}")
    return content


def files_below(folder: Path, root: Path) -> Iterator[Path]:
    """Yield the regular files below *folder*, sorted by path. Links to files are followed, links to folders are not.

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
