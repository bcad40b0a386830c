"""Output for GitHub's runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.cli.github import errors, grouped, summarise
from envctl.cli.printing import print_error
from envctl.errors import DefinitionError, Evidence, Problem, ServiceFailed
from envctl.session.mask import Mask

GITHUB = {"GITHUB_ACTIONS": "true"}
MISTAKES = DefinitionError([Problem(Path("environments/a,b.yaml"), 3, "services.db", "100 % wrong\nindeed", "do it")])
SEED = ServiceFailed("db: seed step 1 failed at seeds/shop.sql:7: no table", Evidence("db", "seed", logs=("::add-path::/tmp", "x")))


def test_each_mistake_at_its_line() -> None:
    assert list(errors(MISTAKES, Mask())) == ["::error file=environments/a%2Cb.yaml,line=3::services.db: 100 %25 wrong%0Aindeed; do it"]


def test_a_seed_at_its_line() -> None:
    assert list(errors(SEED, Mask())) == ["::error file=seeds/shop.sql,line=7::db: seed step 1 failed at seeds/shop.sql:7: no table"]
    assert list(errors(ServiceFailed("db ended with 1"), Mask())) == []
    late = "api did not get ready within 60 s: http: it closed the connection (asked at 127.0.0.1:48311)"
    assert list(errors(ServiceFailed(late), Mask())) == []


def test_what_a_service_has_logged_gives_no_orders() -> None:
    head, stopped, *lines, again, end = grouped(["::add-path::/tmp"], "evidence")
    assert (head, lines, end) == ("::group::evidence", ["::add-path::/tmp"], "::endgroup::")
    assert stopped == f"::stop-commands::{again.strip(':')}"


def test_evidence_is_a_group_there_and_nowhere_else(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    summary = tmp_path / "summary"
    print_error(SEED, Mask(), {**GITHUB, "GITHUB_STEP_SUMMARY": str(summary)})
    there = capsys.readouterr().err
    assert "::group::evidence of db\n" in there
    assert there.rstrip().endswith("envctl: db: seed step 1 failed at seeds/shop.sql:7: no table")
    assert "no table" in summary.read_text()
    print_error(SEED, Mask(), {})
    assert "::" not in capsys.readouterr().err.replace(": :add-path::", "")


def test_a_summary_is_never_broken_out_of(tmp_path: Path) -> None:
    path = tmp_path / "summary"
    summarise({"GITHUB_STEP_SUMMARY": str(path)}, "failed", ["```", "# not a heading"])
    assert path.read_text().splitlines() == ["**envctl** failed", "", "````text", "```", "# not a heading", "````"]
    summarise({"GITHUB_STEP_SUMMARY": str(tmp_path)}, "a folder")
