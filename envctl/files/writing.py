"""The one door by which files are made where others may have put something: no link is followed, nothing of theirs is replaced.

Whether a file is ours is decided by what it holds at that moment.
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
"""Whether a file with this content is ours to replace."""


def never(content: bytes) -> bool:
    """For what is made once: nothing that is there is replaced."""
    return False


def always(content: bytes) -> bool:
    """For folders that are ours altogether."""
    return True


def check_file(path: Path, root: Path, *, ours: Ours) -> None:
    """Whether `write_file` would write it now.

    Raises:
        FileRefused, OSError: as by `write_file`.
    """
    with suppress(FileNotFoundError), opened_folder(_real(root), _parts(path, root)[:-1]) as folder:
        _check(folder, path, ours)


def write_file(path: Path, content: bytes | str | BufferedIOBase, root: Path, *, ours: Ours, mode: int = 0o644) -> None:
    """Puts *content* at *path*, at once: nobody sees half of it.

    Args:
        root: the folder that it lies below; the folders between them are made.
        ours: asked about the file that is there; an empty one is nobody's.
        mode: 0o600 where it holds credentials.

    Raises:
        FileRefused: it is outside, a component is a link, it lies in a repository's own folder, or what is there is not ours.
        OSError: it cannot be written.
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
    """What a folder that is named on the command line may not lead out of: the project where it lies in it, else itself."""
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
                raise FileRefused(f"{path} lies in .git, where nothing is written")
            return parts
    raise FileRefused(f"{path} is outside of {root}")


def _check(folder: int, path: Path, ours: Ours) -> None:
    """Whether what is there may go."""
    try:
        found = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        raise FileRefused(f"{path} is a symbolic link, and none is followed here")
    if not stat.S_ISREG(found.st_mode):
        raise FileRefused(f"{path} exists, and is not a regular file")
    if found.st_size and not ours(_content(folder, path)):
        raise FileRefused(f"{path} exists already, and was not written by envctl", hint="move it away, or choose another place")


def _content(folder: int, path: Path) -> bytes:
    with os.fdopen(opened_file(folder, path.name, path), "rb") as stream:
        return stream.read(LARGEST)
