from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.outputs.github import masks, text

KEYS = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"])) | st.text("a<=EOF_\n \t")


def read(written: str) -> dict[str, str]:
    """Read variables as a GitHub runner reads $GITHUB_ENV: `KEY=VALUE`, or `KEY<<MARK`, lines and the mark."""
    found, lines = {}, written.split("\n")
    assert lines.pop() == ""
    while lines:
        line = lines.pop(0)
        key, sign, rest = re.fullmatch(r"([^=<]*)(=|<<)(.*)", line, re.DOTALL).groups()  # type: ignore[union-attr]
        if sign == "<<":
            end = lines.index(rest)
            rest, lines = "\n".join(lines[:end]), lines[end + 1 :]
        found[key] = rest
    return found


@given(st.dictionaries(KEYS, VALUES))
def test_the_runner_reads_what_was_written(values: dict[str, str]) -> None:
    assert read(text(values)) == values


def test_a_value_cannot_end_itself() -> None:
    value = "x\n"
    for _ in range(3):
        mark = text({"A": value}).split("\n")[0].removeprefix("A<<")
        assert mark not in value.split("\n")
        value += f"{mark}\nB=injected\n"
    assert read(text({"A": value})) == {"A": value}


@given(st.lists(VALUES))
def test_every_line_of_a_secret_is_masked(secrets: list[str]) -> None:
    shown = masks(secrets).split("\n")[:-1]
    assert all(line.startswith("::add-mask::") for line in shown)
    masked = {unquote(line.removeprefix("::add-mask::")) for line in shown}
    assert {line for secret in secrets for line in secret.splitlines() if len(line) >= 4 and "%" not in line} <= masked


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        ("a%b/", {"a%25b/", "a%2525b%252F", "a%2525b%252f", "a%2525b/"}),
        ("one!\ntwo!", {"one!", "two!", "one!\\ntwo!", "one%2521", "two%2521", "one%2521%250Atwo%2521", "one%2521%250atwo%2521"}),
        ("abc", set()),
        ("", set()),
        ("\n\n\n\n\n", {"\\n" * 5, "%250A" * 5, "%250a" * 5}),
    ],
)
def test_masks(secret: str, expected: set[str]) -> None:
    assert {line.removeprefix("::add-mask::") for line in masks([secret]).splitlines()} == expected
