"""Tests of closed, full or unread output, in separate processes: what they print, and their exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from envctl.process.terminal import show, tell

PROGRAM = """
import subprocess, sys
from envctl.process import terminal
terminal.protect()
for number in range(3):
    terminal.tell('told')
print('written by somebody else', file=sys.stderr)
status = subprocess.run(['sh', '-c', 'echo from below; exit 7']).returncode
sys.exit(status)
"""


def ended(redirections: str, program: str = PROGRAM) -> int:
    return subprocess.run(["bash", "-c", f'"$0" -c "$1" {redirections}', sys.executable, program], check=False).returncode


@pytest.mark.parametrize("redirections", ["2>&-", "2>/dev/full", ">&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/null 2>/dev/full <&-"])
def test_nobody_listens(redirections: str) -> None:
    assert ended(redirections) == 7


def test_a_file_of_ours_never_gets_the_number_of_an_output() -> None:
    assert ended("<&- >&- 2>&-", "from envctl.process import terminal; terminal.protect(); assert open('/dev/null').fileno() > 2") == 0


def test_names_that_are_no_utf8_come_out_as_they_came_in() -> None:
    program = "from envctl.process import terminal; terminal.protect(); terminal.give('a\\udcff')"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"a\xff"


@pytest.mark.parametrize("words", ["--help", "up --help", "--version"])
def test_help_that_nobody_got_is_no_success(words: str) -> None:
    line = f'"$0" -m envctl {words} >/dev/full'
    done = subprocess.run(["bash", "-c", line, sys.executable], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "envctl: stdout cannot be written: No space left on device\n")


@pytest.mark.parametrize(("where", "error"), [(">/dev/full", "EnvctlError"), ("| true", "Unread")])
def test_a_result_that_cannot_be_written_is_said(where: str, error: str) -> None:
    program = f"""
import time
from envctl.process import terminal
terminal.protect()
try:
    while True:
        terminal.give('x' * 70000)
except terminal.{error} as error:
    {"assert 'No space left' in str(error), error" if error == "EnvctlError" else "pass"}
    raise SystemExit(3)
"""
    assert ended(f"{where}; exit ${{PIPESTATUS[0]}}", program) == 3


def test_lines_are_lines(capfd: pytest.CaptureFixture[str]) -> None:
    tell()
    tell("a\nb", "c")
    show("d\x1b", "e")
    assert capfd.readouterr() == ("d\\x1b\ne\n", "a\\nb\nc\n")
