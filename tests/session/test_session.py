"""Tests of a session: it holds everything that belongs to one caller, and no state exists outside of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from envctl.cli import _run
from envctl.session import Session
from tests.builders import record_of, session_in


def test_here_is_a_copy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORD", "before")
    monkeypatch.chdir(tmp_path)
    session = Session.here()
    monkeypatch.setenv("WORD", "after")
    assert (session.environ["WORD"], session.cwd) == ("before", tmp_path)
    assert os.environ["WORD"] == "after"


def test_a_folder_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert [_run(words) for words in (["list"], ["run", "x", "--", "true"])] == [2, 125]
    assert capsys.readouterr().err.count("envctl: the current folder cannot be used: No such file or directory\n") == 2


def test_two_sessions_of_a_process_do_not_see_each_other(tmp_path: Path) -> None:
    one, other = session_in(tmp_path / "one"), session_in(tmp_path / "other")
    record = one.store.create(record_of())
    assert one.store.all() == [record]
    assert other.store.all() == []
    assert other.host.folder(record.id) == tmp_path / "other" / "envctl" / record.id
    assert one.keepers.home == tmp_path / "one" / "envctl"
    one.mask.add(["topsecret"])
    assert other.mask("topsecret") == "topsecret"


@pytest.mark.parametrize(("value", "expected"), [(None, False), ("", False), ("1", True)])
def test_a_keeper_says_that_it_has_called(tmp_path: Path, value: str | None, expected: bool) -> None:
    environ = {} if value is None else {"ENVCTL_KEEPER": value}
    assert session_in(tmp_path, None, **environ).by_keeper is expected


def test_what_a_session_holds_is_there_from_the_start(tmp_path: Path) -> None:
    """The parts are created at once, not by the first of two threads that use them."""
    session = session_in(tmp_path)
    assert {"store", "keepers", "host"} <= vars(session).keys()
    assert session.host.keepers is session.keepers


def test_a_session_with_other_options_has_keepers_of_its_own(tmp_path: Path) -> None:
    session = session_in(tmp_path)
    other = replace(session, told={"context": "there"})
    assert (other.option("context"), other.mask) == ("there", session.mask)
    assert other.keepers is not session.keepers
    assert other.host.keepers is other.keepers
