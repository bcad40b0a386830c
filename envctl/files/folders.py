"""A folder below another one, reached one component at a time: what changes meanwhile cannot lead elsewhere."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from envctl.errors import UsageError

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class FileRefused(UsageError):
    """A file that is not read, or not written: it is outside, no ordinary file, too large, or not ours."""


@contextmanager
def opened_folder(root: Path, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """The descriptor of the folder *parts* below *root*. Links lead to *root* itself; below it none is followed.

    Args:
        make: folders that are not there are made.

    Raises:
        FileRefused: a component is a link, or leads up.
        OSError: it is not there.
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
        raise FileRefused(f"{shown} is a symbolic link, and none is followed here")
    return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
