"""Where local processes have their files: below the state, or, as root, where an unprivileged server can reach them."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

from envctl.instance.identity import running

ROOTS_STATE = Path("/var/lib/envctl")
ROOTS_CACHE = Path("/var/cache/envctl")


def is_root() -> bool:
    return os.geteuid() == 0


def services_folder(id: str, home: Path) -> Path:
    """The folder of an instance's services, whose state is below *home*. (Root's home is closed to the user that a server runs as.)"""
    return ROOTS_STATE / id if is_root() else home / id / "local"


def cache_folder() -> Path:
    """What can be made again: copied programs, initialised data directories."""
    if is_root():
        return ROOTS_CACHE
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache")) / "envctl"


def make_passable(base: Path, name: str) -> Path:
    """The folder *name* of the cache: whatever the umask, a server's user may pass through, and nobody else may list it."""
    for each in (base, base / name):
        each.mkdir(parents=True, exist_ok=True)
        each.chmod(0o711 if is_root() else 0o700)
    return base / name


def make_services_folder(id: str, home: Path) -> Path:
    """Nobody may list it; as root, others may pass through it to the folders that are theirs."""
    folder = services_folder(id, home)
    mode = 0o711 if is_root() else 0o700
    for each in (folder.parent, folder):
        each.mkdir(mode=mode, parents=True, exist_ok=True)
        if each is folder or is_root():
            each.chmod(mode)
    return folder


def unfinished(path: Path) -> Path:
    """Where this process makes *path* until it is whole; what processes that were killed have left there is removed."""
    ours = path.with_name(f".{path.name}.{os.getpid()}")
    for each in path.parent.glob(f".{path.name}.*"):
        number = each.suffix[1:]
        if each == ours or (number.isdecimal() and not running(int(number))):
            shutil.rmtree(each, ignore_errors=True)
    return ours


def unprivileged() -> int | None:
    """The user for servers that refuse root; None where we are not root."""
    if not is_root():
        return None
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return 65534


def reachable(path: Path) -> bool:
    """Whether every user may come to *path*, read it and, where it is a program, run it."""
    ways = [path, *path.parents]
    return all(folder.stat().st_mode & 0o001 for folder in ways) and bool(path.stat().st_mode & 0o004)
