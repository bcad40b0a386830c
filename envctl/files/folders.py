"""Open a folder below another one, one component at a time, so that a concurrent change cannot lead to a different place."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from envctl.errors import UsageError

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class FileRefused(UsageError):
    """A file that is not read or not written: it is outside of the folder, not a regular file, too large, or not written by envctl."""


@contextmanager
def opened_folder(root: Path, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """Yield the descriptor of the folder *parts* below *root*. *root* itself may contain links; below *root* no link is followed.

    Args:
        make: create the folders that do not exist.

    Raises:
        FileRefused: a component is a link, or is `..`.
        OSError: a folder does not exist or cannot be opened.
    """
    descriptor = os.open(root, _FOLDER)
    try:
        for number, part in enumerate(parts, start=1):
            inner = _entered(descriptor, part, root.joinpath(*parts[:number]), make)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _entered(folder: int, name: str, shown: Path, make: bool) -> int:
    if name == os.pardir:
        raise FileRefused(f"{shown} leads out of the folder")
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
    if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise FileRefused(f"{shown} is a symbolic link, which envctl does not follow here")
    return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
