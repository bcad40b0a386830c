"""Tests of reading untrusted TOML."""

from __future__ import annotations

import pytest

from envctl.files.toml import parse_toml


def test_it_is_read() -> None:
    assert parse_toml('[a.b]\nc = ["1.2.3"]\n') == {"a": {"b": {"c": ["1.2.3"]}}}


@pytest.mark.parametrize(
    "text", ["a." * 400_000 + "a = 1", "[" + "a . " * 200_000 + "a]", "a." * 90 + "a = 1\n" * 1 + ("b." * 1000 + "b = 1\n") * 9]
)
def test_what_would_take_the_square_of_its_length(text: str) -> None:
    with pytest.raises(ValueError, match="many parts"):
        parse_toml(text)


@pytest.mark.parametrize("text", ["a = " + "[" * 300_000, "a = " + "{a = " * 100_000, "a = " + "1" * 5000, "="])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_toml(text)
