from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl import instance
from envctl.errors import UsageError
from envctl.keeper import system
from tests.builders import record_of

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", fullmatch=True)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder that other tests do not see."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "envctl"


@pytest.fixture(scope="module")
def ended() -> str:
    """The mark of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        mark = instance.process_mark(process.pid)
        assert instance.process_alive(mark) is True
    return mark


# Identity


@given(NAMES)
def test_an_id_fits_everywhere(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*-[0-9a-f]{6}", instance.instance_id(name, Path("/p")))


def test_an_id_is_of_name_and_project() -> None:
    assert instance.instance_id("My_Shop", Path("/p")).startswith("my-shop-")
    assert instance.instance_id("a", Path("/p")) == instance.instance_id("a", Path("/p"))
    assert instance.instance_id("a", Path("/p")) != instance.instance_id("a", Path("/q"))


@pytest.mark.parametrize("other", ["getpass.getuser", "socket.gethostname"])
def test_an_id_is_of_user_and_host(monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    before = instance.instance_id("a", Path("/p"))
    monkeypatch.setattr(other, lambda: "somebody else")
    assert instance.instance_id("a", Path("/p")) != before


def test_state_is_at_home_where_nothing_else_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", "/home/me")
    assert instance.state_home() == Path("/home/me/.local/state/envctl")


# Records


def test_a_record_comes_back() -> None:
    record = record_of(
        outputs={"A": "ü\n"}, ports={"db/postgres": 1}, stop={"x": 10.0}, seeds={"db": {"steps": ["h"]}}, expires="2030-01-01T00:00:00Z"
    )
    record.save()
    assert instance.load(record.id) == record
    assert instance.records() == [record]


def test_a_record_is_its_owners_alone(home: Path) -> None:
    record_of().save()
    folder = home / "t-123456"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / instance.RECORD).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == [instance.RECORD]


def test_a_record_is_replaced_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens while it is written, there is one."""
    record = record_of(state="up")
    record.save()
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError("no space")))
    record.state = "failed"
    with pytest.raises(OSError, match="no space"):
        record.save()
    found = instance.load(record.id)
    assert found is not None
    assert found.state == "up"


def test_removed_records_are_gone(home: Path) -> None:
    record = record_of()
    record.save()
    record.remove()
    record.remove()
    assert instance.load(record.id) is None
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"unknown": 1}', "\x00"])
def test_a_record_that_cannot_be_read_is_none(home: Path, content: str) -> None:
    (home / "broken").mkdir(parents=True)
    (home / "broken" / instance.RECORD).write_text(content)
    record_of().save()
    assert instance.load("broken") is None
    assert [record.id for record in instance.records()] == ["t-123456"]


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_where_the_state_is_to_be_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file" / below))
    for work in (record_of().save, lambda: instance.lock("t-123456").__enter__()):
        with pytest.raises(UsageError, match=r"no state can be kept in .*file") as caught:
            work()
        assert "XDG_STATE_HOME" in caught.value.hint
    assert instance.records() == []
    instance.sweep()


@pytest.mark.parametrize("closed", ["", "envctl", "envctl/t-123456"])
def test_a_state_folder_that_cannot_be_written_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unprivileged: None, closed: str
) -> None:
    (tmp_path / closed).mkdir(parents=True, exist_ok=True)
    (tmp_path / closed).chmod(0o555)
    for work in (record_of().save, lambda: instance.lock("t-123456").__enter__()):
        with pytest.raises(UsageError, match="Permission denied"):
            work()
    (tmp_path / closed).chmod(0o755)


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[None]:
    """Root may write everywhere; pytest's own folder is closed to others above the test's."""
    if os.geteuid():
        yield
        return
    os.chown(tmp_path, 65534, 65534)
    before = [(folder, folder.stat().st_mode) for folder in tmp_path.parents if folder.stat().st_mode & 0o011 != 0o011]
    for folder, mode in before:
        folder.chmod(mode | 0o011)
    os.seteuid(65534)
    yield
    os.seteuid(0)
    for folder, mode in before:
        folder.chmod(mode)


def test_without_a_folder_there_are_no_records() -> None:
    assert instance.records() == []


@pytest.mark.parametrize(("after", "expired"), [(-1.0, True), (60.0, False), (None, False)])
def test_a_record_expires(after: float | None, expired: bool) -> None:
    assert record_of(expires=None if after is None else instance.now(after)).expired is expired


def test_times_sort_as_text() -> None:
    assert instance.now(-1) < instance.now(3600) < instance.now(366 * 86400)


# One command at a time


def held(path: Path) -> bool:
    """Whether somebody has the lock of *path*."""
    with path.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_lock_leaves_nothing_behind(home: Path) -> None:
    with instance.lock("x"):
        assert held(home / "x" / "lock")
    assert list(home.iterdir()) == []


def test_a_lock_beside_a_record_stays(home: Path) -> None:
    record_of().save()
    with instance.lock("t-123456"):
        pass
    assert sorted(path.name for path in (home / "t-123456").iterdir()) == [instance.RECORD, "lock"]
    assert not held(home / "t-123456" / "lock")


def test_a_second_command_waits_and_gives_up() -> None:
    with instance.lock("x"), pytest.raises(UsageError, match="another envctl command works on x") as caught, instance.lock("x", wait=0):
        raise AssertionError("both have it")
    assert caught.value.exit_code == 2


def test_two_instances_do_not_notice_each_other() -> None:
    with instance.lock("x"), instance.lock("y", wait=0):
        pass


def test_a_failure_lets_go(home: Path) -> None:
    with pytest.raises(ZeroDivisionError), instance.lock("x"):
        raise ZeroDivisionError
    with instance.lock("x", wait=0):
        pass


def test_a_folder_is_removed_while_it_is_locked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise whoever waits for the lock could write a record that is removed with it."""
    seen: list[bool] = []
    remove = shutil.rmtree

    def watched(path: Path, **options: Any) -> None:
        seen.append(held(Path(path) / "lock"))
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", watched)
    with instance.lock("x"):
        pass
    assert seen == [True]


def test_whoever_waits_gets_a_lock_that_is_still_there(home: Path) -> None:
    """`down` removes the folder; the next `up` must not hold the lock of a file that is gone."""
    waiting, got = threading.Event(), []

    def wait() -> None:
        waiting.set()
        with instance.lock("x"):
            got.append(held(home / "x" / "lock"))

    thread = threading.Thread(target=wait)
    with instance.lock("x"):
        thread.start()
        waiting.wait(5)
    thread.join(5)
    assert got == [True]


# Processes


def test_a_process_is_known_by_its_mark() -> None:
    mark = instance.process_mark()
    assert mark.startswith(f"{socket.gethostname()}:{os.getpid()}:")
    assert instance.process_alive(mark) is True


def test_a_process_that_has_ended(ended: str) -> None:
    assert instance.process_alive(ended) is False


def test_another_process_with_the_same_number() -> None:
    assert instance.process_alive(f"{socket.gethostname()}:{os.getpid()}:1") is False


def test_a_process_of_another_machine() -> None:
    assert instance.process_alive("elsewhere:1:1") is None


def test_a_mark_without_a_start_is_nobodys() -> None:
    assert instance.process_alive(f"{socket.gethostname()}:{os.getpid()}:") is False


@pytest.fixture
def zombie() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()  # until it has ended
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.stdout.close()
    process.wait()


def test_a_zombie_has_ended(zombie: int) -> None:
    assert instance.process_mark(zombie).endswith(":")


def test_without_proc_ps_says_when_a_process_began(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = subprocess.CompletedProcess([], 0, "S+   Thu Jan  1 00:00:00 2030\n", "")
    monkeypatch.setattr(system, "LINUX", False)
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: answer)
    assert instance.process_mark(1) == f"{socket.gethostname()}:1:Thu-Jan-1-00.00.00-2030"
    answer.stdout = "Z    Thu Jan  1 00:00:00 2030\n"
    assert instance.process_mark(1) == f"{socket.gethostname()}:1:"
