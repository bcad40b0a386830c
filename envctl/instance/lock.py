"""The lock that allows only one command at a time to work on an instance."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from envctl.errors import UsageError
from envctl.instance.folder import make_folder, usable

PAUSE = 0.05


@contextmanager
def lock(folder: Path, *, wait: float = 600.0, shared: bool = False) -> Iterator[None]:
    """Hold the lock of the instance whose folder is *folder*; remove the folder on release if it contains no record.

    Args:
        wait: the seconds to wait for the lock.
        shared: allow other holders that also pass `shared`.

    Raises:
        UsageError: another command holds the lock for longer than *wait* seconds.
    """
    deadline = time.monotonic() + wait
    descriptor = _acquired(folder, deadline, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        yield
    finally:
        # Before the lock is released: the next holder may write a record immediately.
        if not (folder / "instance.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _acquired(folder: Path, deadline: float, how: int) -> int:
    while True:
        make_folder(folder)
        descriptor = _opened(folder)
        if descriptor is None:
            continue  # another command removed the folder in between
        if _locked(descriptor, deadline, how) and _still_there(descriptor, folder / "lock"):
            return descriptor
        os.close(descriptor)  # `down` removed the folder during the wait, so this lock is on a deleted file
        if time.monotonic() > deadline:
            raise UsageError(f"another envctl command is working on {folder.name}", hint="wait for it, or stop it")


def _opened(folder: Path) -> int | None:
    """Open the lock file of *folder*, creating it if necessary; return None if the folder does not exist."""
    with usable(folder.parent):
        try:
            return os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        except FileNotFoundError:
            return None


def _locked(descriptor: int, deadline: float, how: int) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(PAUSE)
        else:
            return True


def _still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except OSError:
        return False


def sweep(home: Path) -> None:
    """Remove the folders that contain no record and are not locked: leftovers of commands that were killed."""
    for folder in home.glob("*/"):
        if not (folder / "instance.json").exists():
            with suppress(UsageError), lock(folder, wait=0.0):
                pass  # releasing the lock removes the folder
