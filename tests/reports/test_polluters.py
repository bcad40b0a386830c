"""Tests of the report about the checkpoints of a run."""

from __future__ import annotations

from typing import Any

from envctl.reports.polluters import document, report


def left(test: str, touched: list[str] | None = None, **counts: int) -> dict[str, Any]:
    change = {"added": 0, "changed": 0, "removed": 0, **counts}
    return {"test": test, "touched": touched or [], "changes": {"db": {"orders": change}} if counts else {}}


def test_the_report_names_who_leaves_what() -> None:
    assert report([left("a", added=2, changed=1), left("b"), left("c", ["a"], removed=1)]) == [
        "2 tests left data behind:",
        "  a: db.orders +2 ~1",
        "  c: db.orders -1",
        "1 test changed what another test had left:",
        "  c: data of a",
        "1 test left nothing behind, and may share a lane",
    ]


def test_a_clean_run_and_none() -> None:
    assert report([left("a")]) == ["no test left data behind"]
    assert report([]) == []


def test_a_long_list_is_cut() -> None:
    assert report([left(str(number), added=1) for number in range(40)])[-1] == "  and 10 more"


def test_for_programs_and_of_tests_that_run_twice() -> None:
    found = document([left("a", added=1), left("b"), left("a", ["c"], added=2, removed=1), left("a", ["b"])])
    assert found == {
        "leaving": {"a": {"db": {"orders": {"added": 3, "changed": 0, "removed": 1}}}},
        "touching": {"a": ["b", "c"]},
        "clean": ["b"],
    }
