"""Where local processes have their files: below the state, or, as root, where an unprivileged server can reach them."""

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
    return os.geteuid() == 0


def services_folder(id: str, home: Path) -> Path:
    """The folder of an instance's services, whose state is below *home*. (Root's home is closed to the user that a server runs as.)"""
    return ROOTS_STATE / id if is_root() else home / id / "local"


def cache_folder(environ: Mapping[str, str]) -> Path:
    """What can be made again: copied programs, initialised data directories."""
    if is_root():
        return ROOTS_CACHE
    return user_folder(environ, "XDG_CACHE_HOME", ".cache") / "envctl"


def make_passable(base: Path, name: str) -> Path:
    """The folder *name* in *base*: whatever the umask, a server's user may pass through both, and nobody else may list them.

    Raises:
        UsageError: one of them is not this user's alone.
    """
    mode = 0o711 if is_root() else 0o700
    for each in (base, base / name):
        with suppress(FileExistsError):
            each.mkdir(mode=mode, parents=True)
        refuse_foreign(each)
        each.chmod(mode)
    return base / name


def kept_in(cache: Path, name: str) -> Path:
    """The folder *name* in *cache*, whether it is there or not.

    Raises:
        UsageError: one of them is not this user's alone: what is in it may be anybody's.
    """
    refuse_foreign(cache, cache / name)
    return cache / name


def make_services_folder(id: str, home: Path) -> Path:
    folder = services_folder(id, home)
    return make_passable(folder.parent, folder.name)


@contextmanager
def made_whole(path: Path) -> Iterator[Path]:
    """A folder to be filled, which becomes *path* at the end; where somebody else was quicker, theirs stays.

    Its maker holds it: what nobody holds was left by a process that was killed, and is removed. (A process's number would not tell:
    containers that share this folder count their own.)
    """
    with ExitStack() as stack:
        with held(path.parent, exclusive=True):  # so that nobody takes a new folder for one that was left
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
    """Nobody removes *folder* meanwhile (`remove_unless_held`); the kernel lets it go when this process ends.

    Raises:
        OSError: it is not there; without *wait* also: somebody else holds it.
    """
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)  # a file: NFS locks no folder
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def remove_unless_held(folder: Path) -> bool:
    """Whether it is gone: all at once, so that nobody finds a part of it."""
    with suppress(OSError), held(folder, exclusive=True, wait=False):
        going = folder.with_name(f".{folder.name.lstrip('.')}.{secrets.token_hex(4)}")
        folder.rename(going)
        shutil.rmtree(going, ignore_errors=True)
    return not folder.exists()


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


def write_files(root: Path, service: ServicePlan, user: int | None) -> None:
    """What lies at /path in a container lies at root/path; folders that files are put into are there even if there are none."""
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
