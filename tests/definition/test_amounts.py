from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.definition.amounts import bytes_of, parse_duration, size_text


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *[(90, 90), (1.5, 1.5), (0, 0), ("90", 90), ("0.5", 0.5), (" 15m ", 900)],
        *[("90s", 90), ("2h", 7200), ("1h30m", 5400), ("1d", 86400), ("1w", 604800), ("250ms", 0.25), ("1.5h", 5400), ("1m1m", 120)],
    ],
)
def test_durations(value: object, seconds: float) -> None:
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    "value", ["", "x", "1x", "1h30", "-1", -1, "-1s", "1 h", True, None, [], float("nan"), float("inf"), 1e11, "1e3", "9" * 400]
)
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="is not a duration; write it like 30s, 15m, 2h or 1h30m"):
        parse_duration(value)


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
