"""The folders that hold the state of instances: one per instance, accessible to its user only."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from envctl.errors import UsageError

REFUSALS = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL,
)  # fmt: skip


def state_home(environ: Mapping[str, str]) -> Path:
    """Return the folder that contains one folder per instance."""
    return user_folder(environ, "XDG_STATE_HOME", ".local/state") / "envctl"


def snapshots_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of this user's snapshots; it may not exist."""
    return user_folder(environ, "XDG_CACHE_HOME", ".cache") / "envctl" / "snapshots"


def user_folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    """Return the folder that *variable* names, or else the folder *below_home* in the user's home.

    A relative path in *variable* or HOME is ignored (the XDG specification requires it for its variables): it would be a different folder
    for commands in different folders.
    """
    if os.path.isabs(base := environ.get(variable, "")):
        return Path(base)
    home = environ.get("HOME", "")
    return Path(home if os.path.isabs(home) else _home_by_name()) / below_home


def _home_by_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a user of a container without a name
        return "/"


def why_foreign(folder: Path) -> str:
    """Return why *folder* may contain files of another user; empty if it cannot, or if it does not exist."""
    try:
        found = folder.lstat()
    except OSError:
        return ""
    if stat.S_ISLNK(found.st_mode):
        return "it is a symbolic link"
    if found.st_uid != os.geteuid():
        return f"it belongs to another user ({found.st_uid}, not {os.geteuid()})"
    return f"others can write to it (mode {stat.S_IMODE(found.st_mode):04o})" if found.st_mode & 0o022 else ""


def refuse_foreign(*folders: Path) -> None:
    """Raise an error if another user may have written to one of *folders*.

    Raises:
        UsageError: a folder is a link, belongs to another user, or is writable for others.
    """
    for folder in folders:
        if why := why_foreign(folder):
            raise UsageError(f"{folder} cannot be trusted: {why}", hint=foreign_hint(folder))


def foreign_hint(folder: Path) -> str:
    """Return a hint on how to repair a folder that `refuse_foreign` refuses."""
    return f"remove {folder}, or let only yourself write to it (chown, chmod go-w); XDG_STATE_HOME and XDG_CACHE_HOME name other places"


def make_folder(folder: Path) -> None:
    """Create the folder of an instance with mode 0700, and the folder that contains it.

    Raises:
        UsageError: a folder cannot be created there, or another user may have written to an existing one.
    """
    with usable(folder.parent):
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_foreign(folder.parent)
        # mkdir's `exist_ok` does not cover a command that removes the folder at this moment: mkdir then checks again, and raises.
        while not folder.is_dir():
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                if os.path.lexists(folder) and not folder.is_dir():
                    raise
        refuse_foreign(folder)


@contextmanager
def usable(home: Path) -> Iterator[None]:
    """Convert an OSError inside the block to a UsageError if *home* cannot hold state; other errors, such as a full disk, pass.

    Raises:
        UsageError: *home* or a file below it cannot be created or entered.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        hint = "set XDG_STATE_HOME (default: ~/.local/state) to a folder that this user can write to"
        raise UsageError(f"no state can be kept in {home}: {error.filename}: {error.strerror}", hint=hint) from None


def write_private(path: Path, text: str) -> None:
    """Replace the content of *path* atomically; only its owner may read the file."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(beside, path)
