"""The folders of local processes: below the instance's state or, for root, where an unprivileged server can reach them."""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from envctl.instance.folder import refuse_foreign, user_folder

if TYPE_CHECKING:
    from envctl.plan.model import File, ServicePlan

ROOTS_STATE = Path("/var/lib/envctl")
ROOTS_CACHE = Path("/var/cache/envctl")


def is_root() -> bool:
    """Return whether this process runs as root."""
    return os.geteuid() == 0


def services_folder(id: str, home: Path) -> Path:
    """Return the folder of an instance's services; the instance's state is below *home*.

    Root's services have theirs elsewhere: the unprivileged user of a server cannot enter root's home.
    """
    return ROOTS_STATE / id if is_root() else home / id / "local"


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder for files that can be made again: copied programs, initialised data directories."""
    if is_root():
        return ROOTS_CACHE
    return user_folder(environ, "XDG_CACHE_HOME", ".cache") / "envctl"


def make_passable(base: Path, name: str) -> Path:
    """Make the folder *name* in *base*, and return it. Whatever the umask, a server's user may enter both, and no other user may list them.

    Raises:
        UsageError: one of them does not belong to this user alone.
    """
    mode = 0o711 if is_root() else 0o700
    for each in (base, base / name):
        with suppress(FileExistsError):
            each.mkdir(mode=mode, parents=True)
        refuse_foreign(each)
        each.chmod(mode)
    return base / name


def kept_in(cache: Path, name: str) -> Path:
    """Return the folder *name* in *cache*, whether or not it exists.

    Raises:
        UsageError: one of them does not belong to this user alone, so that its files may be another user's.
    """
    refuse_foreign(cache, cache / name)
    return cache / name


def make_services_folder(id: str, home: Path) -> Path:
    """Make the folder of an instance's services, and return it.

    Raises:
        UsageError: the folder does not belong to this user alone.
    """
    folder = services_folder(id, home)
    return make_passable(folder.parent, folder.name)


@contextmanager
def made_whole(path: Path) -> Iterator[Path]:
    """Yield a new folder to fill, which becomes *path* at the end; if another process was faster, its folder stays.

    This process holds a lock on the new folder: a folder without a lock was left by a process that was killed, and is removed. (A process
    id would not do: containers that share this folder have process ids of their own.)
    """
    with ExitStack() as stack:
        with held(path.parent, exclusive=True):  # so that no other process takes the new folder for an abandoned one
            for left in path.parent.glob(f".{path.name}.*"):
                remove_unless_held(left)
            new = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
            stack.enter_context(held(new, exclusive=True))
        stack.callback(shutil.rmtree, new, ignore_errors=True)
        yield new
        with suppress(OSError):
            os.rename(new, path)


@contextmanager
def held(folder: Path, *, exclusive: bool = False, wait: bool = True) -> Iterator[None]:
    """Lock *folder* against `remove_unless_held` while the context is active, or until this process ends.

    Raises:
        OSError: the folder does not exist; or, without *wait*, another process holds the lock.
    """
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)  # a file, as NFS cannot lock folders
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def remove_unless_held(folder: Path) -> bool:
    """Remove the folder unless it is locked, and return whether it is gone. It is renamed first, so that no process finds a part of it."""
    with suppress(OSError), held(folder, exclusive=True, wait=False):
        going = folder.with_name(f".{folder.name.lstrip('.')}.{secrets.token_hex(4)}")
        folder.rename(going)
        shutil.rmtree(going, ignore_errors=True)
    return not folder.exists()


def unprivileged() -> int | None:
    """Return the user id for servers that refuse to run as root; None if this process does not run as root."""
    if not is_root():
        return None
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return 65534


def reachable(path: Path) -> bool:
    """Return whether every user can reach *path*, read it, and run it if it is a program."""
    ways = [path, *path.parents]
    return all(folder.stat().st_mode & 0o001 for folder in ways) and bool(path.stat().st_mode & 0o004)


def write_files(root: Path, service: ServicePlan, user: int | None) -> None:
    """Write the service's files: what is at /path in a container is at root/path. Folders for files are made even if they stay empty."""
    for folder in (*service.mounts, *service.writable):
        _folder(root, root / folder.lstrip("/"), user)
    for path, file in service.files.items():
        target = root / path.lstrip("/")
        _folder(root, target.parent, user)
        _write(target, file)
        if user is not None:
            os.chown(target, user, user, follow_symlinks=False)


def _folder(root: Path, folder: Path, user: int | None) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    while user is not None and folder != root:
        os.chown(folder, user, user, follow_symlinks=False)
        folder = folder.parent


def _write(target: Path, file: File) -> None:
    target.unlink(missing_ok=True)
    with file.open() as content, target.open("xb") as copy:
        shutil.copyfileobj(content, copy)
    target.chmod(0o700 if file.executable else 0o600)
