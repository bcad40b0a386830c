"""The messages of `reset`."""

from __future__ import annotations

import pytest

from envctl.cli.change import reset_said
from envctl.lifecycle.change import Reset

LEFT = (
    "not reset: {0} no `seed:`, so envctl cannot restore what others have written there; "
    "`envctl reset shop {1}` gives {2} the data of a first start"
)


@pytest.mark.parametrize(
    ("wanted", "found", "said"),
    [
        ((), Reset(("db", "cache")), ["shop: back in the seeded state"]),
        ((), Reset(()), ["shop: back in the seeded state"]),
        (("db",), Reset(("db",)), ["db: back in the seeded state"]),
        ((), Reset(("cache",), ("db",)), ["cache: back in the seeded state", f"db was {LEFT.format('it has', 'db', 'it')}"]),
        ((), Reset((), ("db", "other")), [f"db and other were {LEFT.format('they have', 'db other', 'them')}"]),
    ],
)
def test_only_what_was_reset_is_said_to_be(wanted: tuple[str, ...], found: Reset, said: list[str]) -> None:
    assert list(reset_said("shop", wanted, "", found)) == said
