"""Tests of the `.env` file beside a Compose file, which envctl reads as Compose does."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.definition.compose_dotenv import dotenv, substituted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\nB=${A}2", "12"),
        ("B=$A", "of the shell"),
        ("A=1\nB='${A}'", "${A}"),
        ('A=1\nexport B="$A"', "1"),
        ("B=${NONE:-x}y", "xy"),
        ("B=${NONE}y", "y"),
        ("A=1\nB=sec$$A", "sec$A"),
        ('A=1\nB="sec$$A$A"', "sec$A1"),
        ("A=1\nB='sec$$A'", "sec$$A"),
        ('B="x\\$A"', "x$A"),
        ("A=1\nB=x\\$A", "x\\1"),
        ("A=1\nB=${A:+x}${NONE:+y}$", "x$"),
        ("B=${A:-${C}}", "of the shell"),
        ("A=1\nB=${C:-${D:-${A}$A}}!", "11!"),
        ("A=1\nB=${A:+${A}x}${C:+${A}y}", "1x"),
        ("A=1\nB=${C:-a{b}c$$$ }", "a{b}c$$ "),
        ("\ufeffB=1", "1"),
        ("B", ""),
    ],
)
def test_values_name_others(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / ".env").write_text(text)
    environ = {} if "A=1" in text else {"A": "of the shell"}
    assert dotenv(tmp_path, tmp_path, environ).variables["B"] == expected


def test_what_is_not_understood_is_told_from_what_is_literal(tmp_path: Path) -> None:
    deep = "${A:-" * 9 + "x" + "}" * 9
    (tmp_path / ".env").write_text(f"A=1\nB='a${{b}}c'\nC=${{A/x}}\nD=\"\\${{A}}\"\nE={deep}\nF=${{A\nG=${{X:-${{B}}}}\nH=$B${{A}}\n")
    assert dotenv(tmp_path, tmp_path, {}).unresolved == {"C", "E", "F"}


def test_many_that_never_end_take_no_long_time(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=" + "${A:-$AAAAAAAA" * 50_000)
    assert dotenv(tmp_path, tmp_path, {}).unresolved == {"A"}


@pytest.mark.parametrize("made", ["nothing", "folder"])
def test_none_has_no_variables(tmp_path: Path, made: str) -> None:
    if made == "folder":
        (tmp_path / ".env").mkdir()
    assert dotenv(tmp_path, tmp_path, {}).variables == {}


def test_what_is_not_understood_keeps_its_dollar() -> None:
    assert substituted("$A ${A} ${B-x} ${B:?no} ${A/x}", {"A": "1"}) == "1 1 x  ${A/x}"
