"""Times in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from envctl.cli.times import relative


@pytest.mark.parametrize(
    ("stamp", "said"),
    [
        ("2030-01-01T02:00:00Z", "in 2 h"),
        ("2030-01-01T01:59:00Z", "in 2 h"),
        ("2030-01-01T01:30:00Z", "in 90 min"),
        ("2030-01-04T00:00:00Z", "in 3 d"),
        ("2030-01-01T00:01:30Z", "in 90 s"),
        ("2029-12-31T23:55:00Z", "5 min ago"),
        ("2030-01-01T00:00:00Z", "0 s ago"),
        (None, ""),
    ],
)
def test_from_now(stamp: str | None, said: str) -> None:
    assert relative(stamp, datetime(2030, 1, 1, tzinfo=UTC)) == said
