"""Tests of printing untrusted text: it stays on one line, its control characters are escaped, and no CI system executes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.errors import Problem
from envctl.errors.printable import harmless, without_colours


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Zoë, 日本, 👩‍🔬, a\ttab", "plain, Zoë, 日本, 👩‍🔬, a\ttab"),
        ("one\nfile.yaml:1: fine", "one\\nfile.yaml:1: fine"),
        ("a\r\x1b[2Kgone\x07", "a\\r\\x1b[2Kgone\\x07"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
        ("a\u200bb\u2028c\x85d", "a\\u200bb\\u2028c\\x85d"),
        ("name\udcff", "name\\udcff"),
        ("::set-output name=x::y", ": :set-output name=x::y"),
        ("  ::add-mask::y", "  : :add-mask::y"),
        ("a::b std::string", "a::b std::string"),
        ("x ##[add-mask]y ##vso[task.setvariable]z", "x # #[add-mask]y # #vso[task.setvariable]z"),
        ("## heading", "## heading"),
    ],
)
def test_harmless(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.text())
def test_it_is_one_line_that_can_be_printed(text: str) -> None:
    shown = harmless(text)
    assert len(shown.splitlines()) <= 1
    assert shown.encode("utf-8") is not None
    assert not shown.lstrip().startswith("::")
    assert harmless(shown) == shown


def test_a_mistake_is_one_line() -> None:
    problem = Problem(Path("::error::x.yaml"), 1, "a\nb", "no\nother.yaml:2: fine", "\x1b[1myes")
    assert str(problem) == ": :error::x.yaml:1: a\\nb: no\\nother.yaml:2: fine; \\x1b[1myes"


def test_a_log_without_colours() -> None:
    assert without_colours("\x1b[1;31mred\x1b[0m \x1b[38:5:1mx\x1b[2J") == "red x\x1b[2J"
