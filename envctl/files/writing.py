"""The only functions that create files where other users or programs may have placed files or links.

No link is followed, and no file that envctl did not write is replaced. The current content of a file decides whether envctl wrote it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from io import BufferedIOBase
from pathlib import Path

from envctl.files.folders import FileRefused, opened_folder
from envctl.files.reading import LARGEST, opened_file

Ours = Callable[[bytes], bool]
"""Return whether a file with this content was written by envctl, and may be replaced."""


def never(content: bytes) -> bool:
    """Never replace an existing file."""
    return False


def always(content: bytes) -> bool:
    """Always replace an existing file: for folders that contain files of envctl only."""
    return True


def check_file(path: Path, root: Path, *, ours: Ours) -> None:
    """Raise an error if `write_file` would not write the file now.

    Raises:
        FileRefused, OSError: as by `write_file`.
    """
    with suppress(FileNotFoundError), opened_folder(_real(root), _parts(path, root)[:-1]) as folder:
        _check(folder, path, ours)


def write_file(path: Path, content: bytes | str | BufferedIOBase, root: Path, *, ours: Ours, mode: int = 0o644) -> None:
    """Write *content* to *path* atomically: no reader sees an incomplete file.

    Args:
        root: the folder that contains *path* at any depth; missing folders in between are created.
        ours: called with the content of an existing file to decide whether it may be replaced; an empty file always may.
        mode: the permission bits; 0o600 where the file contains credentials.

    Raises:
        FileRefused: the path lies outside of *root* or in `.git`, a component is a link, or the existing file may not be replaced.
        OSError: the file cannot be written.
    """
    parts = _parts(path, root)
    beside = f".{path.name[:200]}.{secrets.token_hex(4)}"
    with opened_folder(_real(root), parts[:-1], make=True) as folder:
        _check(folder, path, ours)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(beside, flags, mode, dir_fd=folder), "wb") as stream:
                if isinstance(content, bytes | str):
                    stream.write(content if isinstance(content, bytes) else content.encode())
                else:
                    shutil.copyfileobj(content, stream)
            os.replace(beside, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside, dir_fd=folder)
            raise


def root_of(folder: Path, project: Path) -> Path:
    """Return the folder that no file written to *folder* may leave: *project* if *folder* lies in it, else *folder* itself."""
    lexical = Path(os.path.abspath(folder))
    return project if lexical.is_relative_to(project) else lexical


def _real(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    return Path(os.path.realpath(root))


def _parts(path: Path, root: Path) -> tuple[str, ...]:
    lexical = Path(os.path.normpath(path))
    for base in (root, _real(root)):
        if lexical.is_relative_to(base) and lexical != base:
            parts = lexical.relative_to(base).parts
            if any(part.casefold() == ".git" for part in parts):
                raise FileRefused(f"{path} is in .git, where envctl does not write")
            return parts
    raise FileRefused(f"{path} is outside of {root}")


def _check(folder: int, path: Path, ours: Ours) -> None:
    """Raise FileRefused if the file that exists at *path* may not be replaced."""
    try:
        found = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        raise FileRefused(f"{path} is a symbolic link, which envctl does not follow here")
    if not stat.S_ISREG(found.st_mode):
        raise FileRefused(f"{path} exists, and is not a regular file")
    if found.st_size and not ours(_content(folder, path)):
        raise FileRefused(f"{path} exists already, and was not written by envctl", hint="move it away, or choose another place")


def _content(folder: int, path: Path) -> bytes:
    with os.fdopen(opened_file(folder, path.name, path), "rb") as stream:
        return stream.read(LARGEST)
