"""Tests of the history of test runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.errors import DefinitionError
from envctl.reports.history import RUNS, flaky, read_history, with_run, write_history


def test_red_and_green_lately_is_flaky() -> None:
    runs: dict[str, str] = {}
    for green in (True, False, True):
        runs = with_run(runs, {"a": green, "b": True, "c": False})
    assert runs == {"a": "+-+", "b": "+++", "c": "---"}
    assert [name for name, signs in runs.items() if flaky(signs)] == ["a"]


def test_only_the_last_runs_count() -> None:
    runs = with_run({"a": "-", "gone": "+"}, {"a": True})
    for _ in range(RUNS - 1):
        runs = with_run(runs, {"a": True})
    assert runs == {"a": "+" * RUNS}


def test_kept_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "history.json"
    assert read_history(path) == {}
    write_history(path, {"é": "+-"})
    assert read_history(path) == {"é": "+-"}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": 2, "tests": {}}', '{"version": 1, "tests": {"a": "x"}}', "[" * 100_000])
def test_another_file_is_no_history(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.json"
    path.write_text(text)
    with pytest.raises(DefinitionError, match=r"history\.json:1: not a history"):
        read_history(path)
    assert path.read_text() == text
