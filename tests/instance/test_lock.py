"""Tests of the lock of an instance: one command at a time changes the instance."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from envctl.errors import UsageError
from envctl.instance.folder import make_folder
from envctl.instance.lock import lock, sweep
from envctl.instance.store import RECORD, RecordStore
from tests.builders import record_of


def held(path: Path) -> bool:
    """Return whether another open file holds the lock of *path*."""
    with path.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_lock_leaves_nothing_behind(home: Path) -> None:
    with lock(home / "x"):
        assert held(home / "x" / "lock")
    assert list(home.iterdir()) == []


def test_a_lock_beside_a_record_stays(store: RecordStore, home: Path) -> None:
    store.create(record_of())
    with lock(store.folder("t-123456")):
        pass
    assert sorted(path.name for path in (home / "t-123456").iterdir()) == [RECORD, "lock"]
    assert not held(home / "t-123456" / "lock")


def test_a_second_command_waits_and_gives_up(home: Path) -> None:
    with lock(home / "x"), pytest.raises(UsageError, match="another envctl command is working on x") as caught, lock(home / "x", wait=0):
        raise AssertionError("both have it")
    assert caught.value.exit_code == 2


def test_who_shares_it_waits_for_whoever_wants_it_alone(home: Path) -> None:
    folder = home / "env-abcdef"
    with lock(folder, shared=True), lock(folder, wait=0.0, shared=True), pytest.raises(UsageError), lock(folder, wait=0.0):
        pass
    with lock(folder), pytest.raises(UsageError), lock(folder, wait=0.0, shared=True):
        pass


def test_two_instances_do_not_notice_each_other(home: Path) -> None:
    with lock(home / "x"), lock(home / "y", wait=0):
        pass


def test_a_failure_lets_go(home: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock(home / "x"):
        raise ZeroDivisionError
    with lock(home / "x", wait=0):
        pass


def test_a_folder_is_removed_while_it_is_locked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a waiting command could write a record that is then removed with the folder."""
    seen: list[bool] = []
    remove = shutil.rmtree

    def watched(path: Path, **options: Any) -> None:
        seen.append(held(Path(path) / "lock"))
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", watched)
    with lock(home / "x"):
        pass
    assert seen == [True]


def test_whoever_waits_gets_a_lock_that_is_still_there(home: Path) -> None:
    """`down` removes the folder; the next `up` must not hold a lock on a removed file."""
    waiting, got = threading.Event(), []

    def wait() -> None:
        waiting.set()
        with lock(home / "x"):
            got.append(held(home / "x" / "lock"))

    thread = threading.Thread(target=wait)
    with lock(home / "x"):
        thread.start()
        waiting.wait(5)
    thread.join(5)
    assert got == [True]


def test_a_folder_that_is_removed_while_it_is_made_is_made_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command's `down` removes the folder between the failed `mkdir` and the check `is_dir` of `mkdir(exist_ok=True)`."""
    (home / "x").mkdir(parents=True)
    looks, is_dir = iter([False]), Path.is_dir

    def removed_in_between(path: Path) -> bool:
        if path == home / "x" and next(looks, True) is False:
            path.rmdir()
            return False
        return is_dir(path)

    def refused_once(path: Path, mode: int = 0o777, **options: Any) -> None:
        if path == home / "x" and not refused:
            refused.append(path)
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        mkdir(path, mode, **options)

    refused: list[Path] = []
    mkdir = Path.mkdir
    monkeypatch.setattr(Path, "is_dir", removed_in_between)
    monkeypatch.setattr(Path, "mkdir", refused_once)
    make_folder(home / "x")
    assert (home / "x").exists()
    assert refused == [home / "x"]


def test_a_folder_that_is_removed_before_its_lock_is_opened_is_made_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that held the lock removes the folder before this command opens the lock file."""
    opened: list[str] = []
    plain = os.open

    def removed_before(path: Any, *words: Any, **options: Any) -> int:
        if str(path) == str(home / "x" / "lock"):
            opened.append(str(path))
            if len(opened) == 1:
                (home / "x").rmdir()
        return plain(path, *words, **options)

    monkeypatch.setattr(os, "open", removed_before)
    with lock(home / "x"):
        assert held(home / "x" / "lock")
    assert len(opened) >= 2


# Sweeping


def test_folders_that_killed_commands_left_are_swept(store: RecordStore, home: Path) -> None:
    (home / "killed-early-000000").mkdir(parents=True)
    (home / "killed-early-000000" / "lock").touch()
    store.create(record_of())
    with lock(home / "at-work-000000"):
        sweep(home)
        assert sorted(path.name for path in home.iterdir()) == ["at-work-000000", "t-123456"]


@pytest.mark.parametrize("content", ["", '{"version": 99}'])
def test_a_record_that_cannot_be_read_is_not_swept(home: Path, content: str) -> None:
    (home / "broken-000000").mkdir(parents=True)
    (home / "broken-000000" / RECORD).write_text(content)
    with lock(home / "broken-000000"):
        pass
    sweep(home)
    assert (home / "broken-000000" / RECORD).read_text() == content
