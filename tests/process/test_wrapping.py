"""Tests of wrapping long lines on a terminal."""

from __future__ import annotations

import os
import pty
import struct
from collections.abc import Iterator
from fcntl import ioctl
from termios import TIOCSWINSZ
from typing import TextIO

import pytest

from envctl.process.wrapping import wrapped


@pytest.fixture(scope="module")
def terminal() -> Iterator[TextIO]:
    """Yield a terminal with 40 columns."""
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    with open(theirs, "w") as stream:
        yield stream
    os.close(ours)


PATH = "/a/path/that/is/longer/than/all/of/a/line/of/it"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("x" * 40, "x" * 40),
        ("envctl: a did not get ready within 4 s: refused", "envctl: a did not get ready within 4 s:\n  refused"),
        ("  try        it listens on no port yet; wait", "  try        it listens on no port yet;\n             wait"),
        ("            ✗ no current context in this file", "            ✗ no current context in this\n              file"),
        ("docker      \x1b[32m✓\x1b[0m the docker program is /usr", "docker      \x1b[32m✓\x1b[0m the docker program is /usr"),
        (
            "docker      \x1b[32m✓\x1b[0m the docker program is at /usr",
            "docker      \x1b[32m✓\x1b[0m the docker program is at\n              /usr",
        ),
        (f"it is at {PATH} now", f"it is at\n  {PATH}\n  now"),
        ("  a  b  tcp: refused by everybody  (21 times)", "  a  b  tcp: refused by everybody  (21\n        times)"),
        ("it is gone; `envctl up --name a --reseed b` makes it", "it is gone;\n  `envctl up --name a --reseed b` makes\n  it"),
        ("NAME  ENVIRONMENT  ENGINE  STATE  EXPIRES  at noon", "NAME  ENVIRONMENT  ENGINE  STATE  EXPIRES  at noon"),
    ],
)
def test_it_is_broken_at_blanks(terminal: TextIO, line: str, shown: str) -> None:
    assert wrapped(line, terminal, verbatim="") == shown


def test_a_line_of_a_log_stays_as_it_was(terminal: TextIO) -> None:
    line = "    2026-11-29 12:00:00 a line of a log that is long"
    assert wrapped(line, terminal) == line
    assert wrapped(line, terminal, verbatim="") != line


def test_whoever_is_no_terminal_gets_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    from envctl.process.terminal import show, tell

    tell("a word " * 40)
    show("a word " * 40)
    assert capfd.readouterr() == ("a word " * 40 + "\n",) * 2
