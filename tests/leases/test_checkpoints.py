"""Tests of finding what a test leaves behind, by comparing the data before and after the test."""

from __future__ import annotations

from typing import Any

import pytest

from envctl.instance.record import ServiceRecord
from envctl.instance.units import Names, Unit
from envctl.leases import checkpoints
from envctl.leases.checkpoints import Change, Checkpoints, Look, compare
from envctl.watched_data import WHOLE
from tests.builders import record_of

RECORD = record_of(
    services={
        "db": ServiceRecord("postgres", unit=Unit("postgres", (Names("app", "s", ("app1", "app2")),))),
        "mail": ServiceRecord("mail", unit=Unit("mail"), lane=1),
        "mail-lane2": ServiceRecord("mail", unit=Unit("mail"), lane=2, written="mail"),
    }
)


def test_only_what_has_changed_is_told() -> None:
    before: Look = {"db": {"t": {"1": "a", "2": "b", "3": "c"}, "u": {"1": "a"}}, "mail": {"messages": {}}}
    now: Look = {"db": {"t": {"1": "a", "2": "x", "4": "d"}, "u": {"1": "a"}}, "mail": {"messages": {}}}
    assert compare(before, now) == {"db": {"t": Change(["4"], ["2"], ["3"])}}


def test_of_very_many_only_that_they_have_changed_is_known() -> None:
    assert compare({"db": {"t": {WHOLE: "5 1"}}}, {"db": {"t": {WHOLE: "5 2"}}}) == {"db": {"t": Change(changed=[WHOLE])}}
    assert compare({"db": {"t": {WHOLE: "5 1"}}}, {"db": {"t": {WHOLE: "5 1"}}}) == {}


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the data by driver and unit; the checkpoints read it instead of a server."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    monkeypatch.setattr(checkpoints, "contents_of", lambda driver, _properties, unit: found.get((driver, unit), {}))
    return found


def test_a_test_is_told_what_it_has_left_and_whose_data_it_has_changed(data: dict[tuple[str, str], dict[str, Any]]) -> None:
    watch = Checkpoints(lambda: RECORD)
    data["postgres", "app1"] = {"t": {"seeded": "0"}}
    assert watch.take("") == {"test": "", "lane": 1, "touched": [], "changes": {}}
    data["postgres", "app1"] = {"t": {"seeded": "0", "1": "a"}}
    assert watch.take("one")["changes"] == {"db": {"t": {"added": 1, "changed": 0, "removed": 0, "items": {"added": ["1"]}}}}
    data["postgres", "app1"] = {"t": {"seeded": "1"}}
    assert watch.take("two")["touched"] == ["one"]
    assert watch.take("three")["changes"] == {}
    assert [each["test"] for each in watch.made] == ["one", "two", "three"]


def test_a_lane_sees_its_own_units_and_services(data: dict[tuple[str, str], dict[str, Any]]) -> None:
    watch = Checkpoints(lambda: RECORD)
    watch.take("", 1)
    watch.take("", 2)
    data["postgres", "app2"] = {"t": {"1": "a"}}
    assert watch.take("one", 1)["changes"] == {}
    assert list(watch.take("two", 2)["changes"]) == ["db"]


def test_what_a_reset_took_away_was_nobody(data: dict[tuple[str, str], dict[str, Any]]) -> None:
    watch = Checkpoints(lambda: RECORD)
    watch.take("")
    data["postgres", "app1"] = {"t": {"1": "a"}}
    watch.take("one")
    data["postgres", "app1"] = {}
    watch.reset(1)
    assert watch.take("two")["changes"] == {}


def test_a_run_begins_with_what_is_there(data: dict[tuple[str, str], dict[str, Any]]) -> None:
    watch = Checkpoints(lambda: RECORD)
    watch.take("")
    data["postgres", "app1"] = {"t": {"1": "a"}}
    watch.take("of the run before")
    watch.begin()
    data["postgres", "app1"] = {"t": {"1": "b", "2": "a"}}
    assert watch.take("one")["touched"] == []
    assert [(each["test"], list(each["changes"])) for each in watch.made] == [("one", ["db"])]


def test_what_changes_between_two_runs_is_nobody_s(data: dict[tuple[str, str], dict[str, Any]]) -> None:
    watch = Checkpoints(lambda: RECORD)
    watch.begin()
    data["postgres", "app1"] = {"t": {"1": "a"}}
    watch.take("one")
    data["postgres", "app1"] = {"t": {"1": "b"}}
    watch.take("")
    data["postgres", "app1"] = {"t": {}}
    assert watch.take("two")["touched"] == []
    assert [each["test"] for each in watch.made] == ["one", "two"]
