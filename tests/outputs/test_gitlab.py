"""Tests of the format for dotenv reports of GitLab."""

from __future__ import annotations

import re

import pytest

from envctl.errors import UsageError
from envctl.outputs import formatted
from envctl.outputs.gitlab import cautions


@pytest.mark.parametrize("value", ["plain", "two words #1", "grüße", "'quoted'", '"', "a=b", "\\", "", "$x"])
def test_gitlab_takes_the_text_as_it_stands(value: str) -> None:
    written = formatted("gitlab", {"A_1": value, "B": "b"})
    assert [re.fullmatch(r"([A-Za-z0-9_]+)=(.*)", line) is not None for line in written.splitlines()] == [True, True]
    assert dict(line.split("=", 1) for line in written.splitlines()) == {"A_1": value, "B": "b"}


@pytest.mark.parametrize(
    ("value", "why"), [("a\nb", "several lines"), ("a\rb", "several lines"), (" a", "spaces"), ("a\t", "spaces"), ("a\0", "a NUL")]
)
def test_what_it_cannot_hold_is_refused(value: str, why: str) -> None:
    with pytest.raises(UsageError, match=f"A: a dotenv report of GitLab cannot hold {why}"):
        formatted("gitlab", {"A": value})


@pytest.mark.parametrize("name", ["discovery.type", "a-b", "grüße", "", "x" * 256])
def test_a_name_for_which_it_would_refuse_all_of_them_is_said(name: str) -> None:
    with pytest.raises(UsageError, match=f"{re.escape(name)}: a dotenv report of GitLab has names of letters"):
        formatted("gitlab", {"A": "a", name: "b"})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({f"A{number}": "" for number in range(20)}, []),
        ({f"A{number}": "" for number in range(21)}, ["21 variables: GitLab takes 20"]),
        ({"A": "é" * 2558}, []),  # "A=" and the line break are three bytes, each letter is two: 5119
        ({"A": "é" * 2558 + "x"}, ["5120 bytes: GitLab takes fewer than 5120"]),
        ({"A": "a$b", "B": "b", "C": "${c}"}, ["A, C: with a `$`"]),
    ],
)
def test_what_gitlab_may_refuse_or_read_otherwise_is_said(values: dict[str, str], said: list[str]) -> None:
    found = list(cautions(values))
    assert [each[: len(start)] for each, start in zip(found, said, strict=True)] == said
