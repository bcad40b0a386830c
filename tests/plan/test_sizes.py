"""Sizes of memory, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.plan.sizes import bytes_of, size_text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("256M", 256 << 20), ("256MiB", 256 << 20), ("256Mi", 256 << 20), ("256mb", 256 << 20), ("1.5g", 3 << 29), ("64k", 1 << 16),
        ("100", 100), ("0", 0),
    ],
)  # fmt: skip
def test_sizes(text: str, number: int) -> None:
    assert bytes_of(text) == number


@pytest.mark.parametrize(("number", "text"), [(1 << 30, "1Gi"), (3 << 29, "1536Mi"), (5 << 10, "5Ki"), (1001, "1001")])
def test_the_largest_unit_that_divides_it(number: int, text: str) -> None:
    assert size_text(number, "i") == text
    assert size_text(number) == text.removesuffix("i")


@given(st.integers(0, 1 << 45), st.sampled_from(["", "i"]))
def test_what_is_written_is_read_again(number: int, unit: str) -> None:
    assert bytes_of(size_text(number, unit)) == number
