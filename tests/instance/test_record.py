from __future__ import annotations

import pytest

from envctl.instance import labels
from envctl.instance.record import InstanceState, Location, now, stamp
from tests.builders import record_of


@pytest.mark.parametrize(("after", "expired"), [(-1.0, True), (60.0, False), (None, False)])
def test_a_record_expires(after: float | None, expired: bool) -> None:
    assert record_of(expires=None if after is None else now(after)).expired is expired


@pytest.mark.parametrize(
    ("state", "was_up", "half_done"),
    [("starting", False, True), ("up", True, False), ("changing", True, False), ("failed", True, False), ("removing", False, True)],
)
def test_what_its_state_says(state: str, was_up: bool, half_done: bool) -> None:
    record = record_of(state=InstanceState(state))
    assert (record.was_up, record.half_done) == (was_up, half_done)


def test_where_it_is() -> None:
    assert record_of(engine="kubernetes", context="c", namespace="n").location == Location("kubernetes", "c", "n")


def test_times_sort_as_text() -> None:
    assert now(-1) < now(3600) < now(366 * 86400)
    assert stamp(0) == "1970-01-01T00:00:00Z"


def test_labels_say_whose_everything_is() -> None:
    assert labels.labels_of(record_of(owner="h:1:2")) == {
        "envctl.name": "t", "envctl.instance": "t-123456", "envctl.project": "/project", "envctl.owner": "h:1:2", "envctl.environment": "t",
        "envctl.key": "",
    }  # fmt: skip
