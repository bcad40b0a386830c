"""A stage of one service must not disturb other services."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from envctl.lifecycle.stages import _nobody_connects
from tests.builders import plan_with, service


@pytest.mark.parametrize(
    ("needs", "from_compose", "copied"),
    [("seeded", False, True), ("ready", False, False), ("started", False, False), ("seeded", True, False)],
)
def test_no_copy_is_made_ahead_where_somebody_may_connect_meanwhile(needs: str, from_compose: bool, copied: bool) -> None:
    db = service("db", from_compose=from_compose)
    work = SimpleNamespace(plan=plan_with(db, service("api", needs={"db": needs})))
    assert _nobody_connects(cast("Any", work), db) is copied
