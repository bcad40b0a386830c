"""Where the state of instances lies: a folder for each, that nobody but its user may look into."""

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
    """The folder that holds one for each instance."""
    return user_folder(environ, "XDG_STATE_HOME", ".local/state") / "envctl"


def snapshots_folder(environ: Mapping[str, str]) -> Path:
    """What this user has kept of data for later instances; it need not be there."""
    return user_folder(environ, "XDG_CACHE_HOME", ".cache") / "envctl" / "snapshots"


def user_folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    """What *variable* names, else a folder of the user's home. Relative ones would be another one for every command.

    (The XDG specification: a relative path is to be ignored. The same is done with HOME.)
    """
    if os.path.isabs(base := environ.get(variable, "")):
        return Path(base)
    home = environ.get("HOME", "")
    return Path(home if os.path.isabs(home) else _home_by_name()) / below_home


def _home_by_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container's user that has no name
        return "/"


def why_foreign(folder: Path) -> str:
    """Why somebody else may have made what is in *folder*; empty where nobody can have, or where there is none."""
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
    """
    Raises:
        UsageError: one of them is not this user's alone.
    """
    for folder in folders:
        if why := why_foreign(folder):
            raise UsageError(f"{folder} cannot be trusted: {why}", hint=foreign_hint(folder))


def foreign_hint(folder: Path) -> str:
    """What to do about a folder that is not this user's alone."""
    return f"remove {folder}, or make it yours alone (chown, chmod go-w); XDG_STATE_HOME and XDG_CACHE_HOME name other places"


def make_folder(folder: Path) -> None:
    """The folder of an instance; nobody else reads it, nor the names beside it.

    Raises:
        UsageError: there can be none where the state is to be, or one there is not this user's alone.
    """
    with usable(folder.parent):
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_foreign(folder.parent)
        # mkdir's exist_ok is no help against a command that removes the folder at this moment: it looks a second time, and raises.
        while not folder.is_dir():
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                if os.path.lexists(folder) and not folder.is_dir():
                    raise
        refuse_foreign(folder)


@contextmanager
def usable(home: Path) -> Iterator[None]:
    """Around what is written below *home*: a place that cannot hold state is the user's to change; a full disk is another matter.

    Raises:
        UsageError
    """
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        hint = "XDG_STATE_HOME says where it is (else ~/.local/state): a folder that this user can write to"
        raise UsageError(f"no state can be kept in {home}: {error.filename}: {error.strerror}", hint=hint) from None


def write_private(path: Path, text: str) -> None:
    """Replaces *path* at once, readable by its owner alone."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(beside, path)
