"""The lock that lets only one command at a time work on an instance."""

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
    """Holds the instance whose folder that is; a folder that holds no record when the lock is let go is removed.

    Args:
        shared: others that share it may hold it, too.

    Raises:
        UsageError: another command does, for longer than *wait* seconds.
    """
    deadline = time.monotonic() + wait
    descriptor = _acquired(folder, deadline, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        yield
    finally:
        # Before the lock is let go: whoever waits for it may write a record at once.
        if not (folder / "instance.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _acquired(folder: Path, deadline: float, how: int) -> int:
    while True:
        make_folder(folder)
        descriptor = _opened(folder)
        if descriptor is None:
            continue  # the folder was removed again in between
        if _locked(descriptor, deadline, how) and _still_there(descriptor, folder / "lock"):
            return descriptor
        os.close(descriptor)  # `down` removed the folder while we waited: the lock was on a file that is gone
        if time.monotonic() > deadline:
            raise UsageError(f"another envctl command works on {folder.name}", hint="wait for it, or stop it")


def _opened(folder: Path) -> int | None:
    """The lock file of *folder*, made where it is not there; nothing without the folder."""
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
    """Removes folders without a record that nobody works on: a command was killed before its first word, or after its last."""
    for folder in home.glob("*/"):
        if not (folder / "instance.json").exists():
            with suppress(UsageError), lock(folder, wait=0.0):
                pass  # letting the lock go removes such a folder
