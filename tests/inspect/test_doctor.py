"""Tests of `doctor`: its findings, its output and its exit code."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from envctl.cli import doctor as command
from envctl.engines import registry
from envctl.engines.protocol import Finding
from envctl.inspect import doctor
from envctl.instance.record import InstanceState
from envctl.instance.store import RecordStore
from envctl.session import Session
from tests.builders import ended_mark, record_of


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Return the session of a machine without Docker and without a cluster."""
    return Session({"XDG_STATE_HOME": str(tmp_path), "DOCKER_HOST": "unix:///nowhere.sock", "KUBECONFIG": "/nowhere"}, tmp_path)


def test_an_engine_works_when_everything_needed_is_there() -> None:
    found = [
        Finding("docker", True, "daemon", needed=True),
        Finding("docker", False, "disk"),
        Finding("local", True, "here", needed=True),
        Finding("local", False, "system", needed=True),
        Finding("kubernetes", True, "kubectl"),
    ]
    assert doctor.working(found) == ["docker"]


def test_every_engine_is_asked(session: Session) -> None:
    found = doctor.findings(session)
    assert list(dict.fromkeys(finding.area for finding in found)) == [*registry.names(), "state", "instances", "python", "envctl"]
    assert doctor.working(found) == ["local"]


def test_a_check_that_fails_hides_no_other(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RecordStore, "all", lambda self: 1 / 0)
    areas = {finding.area: finding for finding in doctor.findings(session)}
    assert "ZeroDivisionError" in areas["instances"].text
    assert areas["python"].ok


def test_a_record_that_cannot_be_read_is_named(session: Session) -> None:
    folder = session.store.home / "t-123456"
    folder.mkdir(parents=True)
    (folder / "instance.json").write_text("{")
    [found] = [finding for finding in doctor.findings(session) if finding.area == "instances" and not finding.ok]
    assert str(folder / "instance.json") in found.text


def test_the_state_folder(session: Session) -> None:
    state = session.store.home
    assert [finding.ok for finding in doctor.state(state)] == [True]
    state.mkdir(mode=0o755)
    open_to_all = next(doctor.state(state))
    assert not open_to_all.ok
    assert "chmod 700" in open_to_all.advice
    state.chmod(0o700)
    assert next(doctor.state(state)).ok


def test_a_state_folder_that_cannot_be_looked_at(tmp_path: Path) -> None:
    """The folder may be in another user's home; a test that runs as root uses a name that is too long instead."""
    (found,) = doctor.state(tmp_path / ("x" * 300) / "envctl")
    assert found.ok, found.text


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"expires": "2020-01-01T00:00:00Z"}, "expired"),
        ({"owner": ended_mark()}, "lost its owner"),
        ({"state": InstanceState.STARTING, "process": ended_mark()}, "interrupted"),
    ],
)
def test_instances_that_nobody_will_miss(given: dict[str, Any], why: str) -> None:
    found = list(doctor.instances([record_of(**{"state": InstanceState.UP, **given})]))
    assert [finding.ok for finding in found] == [False]
    assert why in found[0].text
    assert "envctl gc" in found[0].advice


@pytest.mark.parametrize("owner", ["", "strange", "another-host:1:1"])
def test_an_instance_that_is_up(owner: str) -> None:
    found = doctor.instances([record_of(owner=owner, state=InstanceState.UP)])
    assert [finding.text for finding in found] == ["1 up, none of them expired or without an owner"]


def test_the_exit_code_and_the_json(session: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    context = cast(typer.Context, SimpleNamespace(obj=session))
    monkeypatch.setattr(command, "findings", lambda session: [Finding("docker", True, "there", needed=True)])
    assert command.doctor(context, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == [{"area": "docker", "ok": True, "text": "there", "advice": "", "needed": True}]
    monkeypatch.setattr(command, "findings", lambda session: [Finding("docker", False, "not there", "start it", needed=True)])
    assert command.doctor(context) == 3
    assert capsys.readouterr().out.splitlines()[-1] == "no engine works here"


def test_lines_are_aligned_and_plain_where_they_must_be() -> None:
    found = [Finding("docker", True, "a", needed=True), Finding("docker", False, "b", "c"), Finding("state", True, "d")]
    plain = list(command.lines(found, unicode=False, coloured=False))
    assert plain == ["docker  + a", "        x b", "          -> c", "state   + d", "", "works here: docker"]
    assert next(command.lines(found, unicode=True, coloured=True)) == "docker  \x1b[32m✓\x1b[0m a"
