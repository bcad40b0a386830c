"""Who a process is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from envctl.instance.identity import process_alive, process_mark
from envctl.keeper import system
from tests.processes import running


@pytest.fixture(scope="module")
def ended() -> str:
    """The mark of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        mark = process_mark(process.pid)
        assert process_alive(mark) is True
    return mark


def test_a_process_is_known_by_its_mark() -> None:
    mark = process_mark()
    assert mark.startswith(f"{socket.gethostname()}:{os.getpid()}:")
    assert process_alive(mark) is True


def test_a_process_that_has_ended(ended: str) -> None:
    assert process_alive(ended) is False


def test_another_process_with_the_same_number() -> None:
    assert process_alive(f"{socket.gethostname()}:{os.getpid()}:1") is False


def test_a_process_of_another_machine() -> None:
    assert process_alive("elsewhere:1:1") is None


def test_a_mark_without_a_start_is_nobodys() -> None:
    assert process_alive(f"{socket.gethostname()}:{os.getpid()}:") is False


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
    assert process_mark(zombie).endswith(":")
    assert not running(zombie)
    assert running(os.getpid())


def test_without_proc_ps_says_when_a_process_began(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = subprocess.CompletedProcess([], 0, "S+   Thu Jan  1 00:00:00 2030\n", "")
    monkeypatch.setattr(system, "LINUX", False)
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: answer)
    assert process_mark(1) == f"{socket.gethostname()}:1:Thu-Jan-1-00.00.00-2030"
    answer.stdout = "Z    Thu Jan  1 00:00:00 2030\n"
    assert process_mark(1) == f"{socket.gethostname()}:1:"
