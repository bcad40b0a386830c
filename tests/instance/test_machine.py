"""Tests of the identity of this machine and of its processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from envctl.instance import machine
from envctl.instance.machine import machine_id, owner_alive, process_alive, process_mark
from envctl.keeper import system
from tests.processes import running


@pytest.fixture(scope="module")
def ended() -> str:
    """Return the mark of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        mark = process_mark(process.pid)
        assert process_alive(mark) is True
    return mark


def test_a_process_is_known_by_its_mark() -> None:
    mark = process_mark()
    assert mark.startswith(f"{place()}:{os.getpid()}:")
    assert process_alive(mark) is True


def test_a_process_that_has_ended(ended: str) -> None:
    assert process_alive(ended) is False


def test_another_process_with_the_same_number() -> None:
    assert process_alive(f"{place()}:{os.getpid()}:1") is False


def test_a_process_of_another_machine() -> None:
    assert process_alive("elsewhere:1:1") is None


def test_a_mark_without_a_start_is_nobodys() -> None:
    assert process_alive(f"{place()}:{os.getpid()}:") is False


@pytest.fixture
def zombie() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()  # end of file: the process has ended
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.stdout.close()
    process.wait()


def test_a_zombie_has_ended(zombie: int) -> None:
    assert process_mark(zombie).endswith(":")
    assert not running(zombie)
    assert running(os.getpid())


def test_without_proc_ps_says_when_a_process_began(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = subprocess.CompletedProcess([], 0, "S+   Thu Jan  1 00:00:00 2030\n", "")
    monkeypatch.setattr(system, "LINUX", False)
    monkeypatch.setattr(machine, "_sysctl", lambda name: name)
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: answer)
    assert process_mark(1).endswith(":1:Thu-Jan-1-00.00.00-2030")
    answer.stdout = "Z    Thu Jan  1 00:00:00 2030\n"
    assert process_mark(1).endswith(":1:")


def test_a_process_of_an_earlier_boot_has_ended_where_it_was_of_this_machine() -> None:
    id, boot, namespace = place().split(".")
    before = f"{id}.{boot[::-1]}0.{namespace}:{os.getpid()}:1"
    assert process_alive(before) is False
    assert owner_alive(before) is None  # hosted CI runners are copies of one machine and share its id
    assert process_alive(f"{id}0.{boot[::-1]}0.{namespace}:{os.getpid()}:1") is None


def test_a_process_of_another_namespace_cannot_be_seen() -> None:
    id, boot, namespace = place().split(".")
    assert process_alive(f"{id}.{boot}.{namespace}0:{os.getpid()}:{process_mark().rpartition(':')[2]}") is None


def test_a_machine_without_an_id_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "box")
    monkeypatch.setattr(machine, "MACHINE_IDS", (tmp_path / "missing", tmp_path / "id"))
    for text, found in (("", "box"), ("uninitialized\n", "box"), ("abc\n", "abc")):
        (tmp_path / "id").write_text(text)
        assert machine_id() == found


def place() -> str:
    return process_mark().partition(":")[0]
