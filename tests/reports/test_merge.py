"""Tests of merging the report folders of one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envctl.errors import DefinitionError, UsageError
from envctl.reports.merge import merge
from envctl.reports.summary import document, markdown

RED = '<testcase name="red" time="1"><failure message="no"/></testcase>'
GREEN = '<testcase name="green" time="2"/>'


def suite(folder: Path, *cases: str, name: str = "tests/api/junit.xml", status: dict[str, Any] | None = None) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'<testsuite timestamp="2026-01-01T10:00:00Z">{"".join(cases)}</testsuite>')
    if status:
        (folder / "status.json").write_text(json.dumps(status))
    return folder


def up(**states: str) -> dict[str, Any]:
    return {"name": "shop", "engine": "docker", "services": {name: {"state": state} for name, state in states.items()}}


def told(*places: Path, before: dict[str, str] | None = None) -> dict[str, Any]:
    return document(merge(places, before or {}))


def test_the_codes_and_the_environments(tmp_path: Path) -> None:
    fine, broken = suite(tmp_path / "a", RED, GREEN, status=up(db="seeded")), suite(tmp_path / "b", RED, GREEN, status=up(db="failed"))
    found = told(fine, broken)
    assert [each["test"] for each in found["red"]] == ["a: red"]
    assert [each["test"] for each in found["environment"]] == ["b: red"]
    assert found["environments"][1]["error"] == "db failed"
    assert found["counts"] == {"tests": 4, "passed": 2, "red": 1, "environment": 1, "skipped": 0, "flaky": 0}


def test_a_test_whose_tool_knows_that_it_was_the_environment(tmp_path: Path) -> None:
    known = '<property name="envctl" value="the environment is broken: db is failed"/>'
    knows = f'<testcase name="a"><properties>{known}</properties><error/></testcase>'
    own = '<testcase name="b"><error message="failed on setup: fixture"/></testcase>'
    found = told(suite(tmp_path, knows, own))
    assert ([each["test"] for each in found["environment"]], [each["test"] for each in found["red"]]) == (["a"], ["b"])
    assert found["environment"][0]["evidence"] == ["the environment is broken: db is failed"]


def test_results_that_lie_elsewhere_than_the_environment(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "status.json").write_text(json.dumps(up(db="failed")))
    found = told(tmp_path / "report", suite(tmp_path / "results", RED))
    assert [each["test"] for each in found["environment"]] == ["red"]


def test_evidence_is_of_the_moment(tmp_path: Path) -> None:
    folder = suite(tmp_path, GREEN, RED, status=up(api="seeded", db="stopped"))
    (folder / "api.log").write_text(
        "2026-01-01T10:00:00Z before\n2026-01-01 10:00:02,500 ERROR then\n  its trace\n2026-01-01T10:09:00Z after\n"
    )
    (folder / "db.log").write_text("last words\n")
    assert told(folder)["environment"][0]["evidence"] == [
        "api: seeded", "db: stopped", "api, at that time:", "  2026-01-01 10:00:02,500 ERROR then", "    its trace", "db, last lines:",
        "  last words",
    ]  # fmt: skip


def test_flaky_over_runs_and_within_one(tmp_path: Path) -> None:
    twice = RED + '<testcase name="red"/>'
    assert told(suite(tmp_path / "a", twice))["flaky"] == [{"test": "red", "runs": "-", "in_this_run": True}]
    assert told(suite(tmp_path / "b", RED), before={"red": "+"})["flaky"] == [{"test": "red", "runs": "+-", "in_this_run": False}]


def test_a_matrix_is_not_flaky(tmp_path: Path) -> None:
    passed = '<testcase name="red"/>'
    assert told(suite(tmp_path / "pg16", passed), suite(tmp_path / "pg17", RED))["flaky"] == []


def test_what_the_environment_failed_says_nothing_of_the_code(tmp_path: Path) -> None:
    merged = merge([suite(tmp_path, RED, GREEN, status=up(db="failed"))], {"red": "+"})
    assert (merged.runs, merged.flaky) == ({"green": "+", "red": "+ "}, [])


def test_one_damaged_file_takes_nothing_from_the_others(tmp_path: Path) -> None:
    suite(tmp_path, RED, name="a.xml")
    (tmp_path / "b.xml").write_text(f"<testsuite>{GREEN}\n<testcase")
    (tmp_path / "c.xml").write_text("<coverage/>")
    found = told(tmp_path)
    assert (found["counts"]["red"], found["counts"]["passed"]) == (1, 1)
    assert found["unreadable"][0].startswith(f"{tmp_path}/b.xml:2: not valid XML")
    assert found["left_out"] == [f"{tmp_path}/c.xml: its root is <coverage>, not <testsuites>"]


def test_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        merge([tmp_path / "missing"], {})
    with pytest.raises(UsageError, match="no JUnit files"):
        merge([tmp_path], {})
    (tmp_path / "status.json").write_text("[]")
    with pytest.raises(DefinitionError, match=r"status\.json:1"):
        merge([tmp_path], {})
    (tmp_path / "status.json").write_text(json.dumps(up(db="failed")))
    assert told(tmp_path)["environments"][0]["error"] == "db failed"


def test_no_link_leads_out(tmp_path: Path) -> None:
    folder = suite(tmp_path / "in", GREEN)
    suite(tmp_path / "out", RED)
    (folder / "link.xml").symlink_to(tmp_path / "out" / "tests" / "api" / "junit.xml")
    found = told(folder)
    assert found["counts"]["tests"] == 1
    assert "outside" in found["left_out"][0]


def test_markdown_is_not_broken_out_of(tmp_path: Path) -> None:
    name = "a`|&lt;/code&gt;&#10;# heading"
    folder = suite(
        tmp_path, f'<testcase name="{name}" time="9"><failure>```\n&lt;/details&gt;</failure></testcase>', status=up(db="failed")
    )
    text = markdown(told(folder))
    assert "<code>a`|&lt;/code&gt; # heading</code>" in text
    assert "- 9.0 s `` a`|</code> # heading ``" in text
    assert "````text\n```\n</details>\n````" in text
    assert text.startswith(
        "## Tests: 1 failed because of the environment in 9.0 s\n\n### The environment failed\n\n- `shop`: `db failed`\n"
    )


def test_long_lists_are_cut(tmp_path: Path) -> None:
    text = markdown(told(suite(tmp_path, *[RED.replace("red", f"red{number}") for number in range(60)])))
    assert text.count("<details>") == 50
    assert "and 10 more" in text


def test_of_many_failures_the_last_ones_are_only_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envctl.reports.merge.MOST_TEXT", 100)
    monkeypatch.setattr("envctl.reports.summary.MOST_EVIDENCE", 1)
    one = '<testcase name="{}"><failure message="m">' + "t" * 60 + "</failure></testcase>"
    found = told(suite(tmp_path, one.format("a"), one.format("b"), status=up(db="ready")))
    assert [(each["test"], each["text"], each["evidence"]) for each in found["red"]] == [("a", "t" * 60, ["db: ready"]), ("b", "", [])]


def test_more_tests_than_a_run_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envctl.reports.merge.MOST_TESTS", 1)
    found = told(suite(tmp_path, RED, GREEN))
    assert found["counts"]["tests"] == 1
    assert "more than 1 tests" in found["unreadable"][0]


def test_the_end_of_a_log_is_read_as_far_as_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envctl.reports.merge.LARGEST_LOGS", 5000)
    folder = suite(tmp_path, RED, status=up(db="failed", web="failed", hidden="failed"))
    (folder / "db.log").write_text("first\n" + "x" * 4990 + "\nlast")
    (folder / "web.log").write_text("of another")
    (folder / "hidden.log").symlink_to("/etc/passwd")
    evidence = told(folder)["environment"][0]["evidence"]
    assert evidence[-2:] == ["  " + "x" * 2000, "  last"]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"services": {"a": 1}}', '{"services": [' + "[]," * 1_400_000])
def test_a_status_of_a_stranger(tmp_path: Path, text: str) -> None:
    folder = suite(tmp_path, GREEN)
    (folder / "status.json").write_text(text)
    found = told(folder)
    assert found["unreadable"] or found["left_out"]


def test_markdown_gives_no_orders(tmp_path: Path) -> None:
    orders = "::add-mask::a\n##[command]b\n##vso[task.setvariable]c\n\x1b[2J\u202e"
    test = f'<testcase name="{orders.splitlines()[0]}"><failure message="no">{orders.replace(chr(27), "")}</failure></testcase>'
    text = markdown(told(suite(tmp_path, test)))
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::") or "##[" in line or "##vso[" in line]
    assert "\u202e" not in text
