from __future__ import annotations

import pytest

from envctl.definition.durations import parse_duration


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
    with pytest.raises(ValueError, match="is no duration; write it like 30s, 15m, 2h or 1h30m"):
        parse_duration(value)
