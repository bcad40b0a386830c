"""Tests of regular expressions in a definition: they match in linear time, or are refused."""

from __future__ import annotations

import pytest

from envctl.definition.patterns import BadPattern, compiled


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [("^(a+)+$", "b\naaa\nb", "a" * 50_000 + "!"), ("é.$", "cafés", "cafes"), (r"a\sb", "a b", "a\nb")],
)
def test_lines_match_in_linear_time(pattern: str, yes: str, no: str) -> None:
    assert compiled(pattern).search(yes)
    assert compiled(pattern).search(yes.encode())
    assert not compiled(pattern).search(no)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?=x)", "look-around and back-references are not supported"),
        ("(?<!x)y", "look-around"),
        (r"(a)\1", "back-references"),
        ("(", r"^missing \): \($"),
        ("(a{999}){999}", "repetition"),
        ("\ud800", "surrogate"),
    ],
)
def test_what_cannot_be_bounded_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(BadPattern, match=why):
        compiled(pattern)
