"""The sentences of `reset`."""

from __future__ import annotations

import pytest

from envctl.cli.change import reset_said
from envctl.lifecycle.change import Reset

LEFT = "left as before: nothing seeds {0}, and what others have made there cannot be made again; `envctl reset shop {1}` makes {0} anew"


@pytest.mark.parametrize(
    ("wanted", "found", "said"),
    [
        ((), Reset(("db", "cache")), ["shop: back in the seeded state"]),
        ((), Reset(()), ["shop: back in the seeded state"]),
        (("db",), Reset(("db",)), ["db: back in the seeded state"]),
        ((), Reset(("cache",), ("db",)), ["cache: back in the seeded state", f"db is {LEFT.format('it', 'db')}"]),
        ((), Reset((), ("db", "other")), [f"db and other are {LEFT.format('them', 'db other')}"]),
    ],
)
def test_only_what_was_reset_is_said_to_be(wanted: tuple[str, ...], found: Reset, said: list[str]) -> None:
    assert list(reset_said("shop", wanted, "", found)) == said
