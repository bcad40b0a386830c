"""Work that starts before a command's modules are imported: Compose parses its file only once, and only when this is safe."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.cli.ahead import begun_ahead
from envctl.environment import open_environment
from envctl.errors import DefinitionError
from envctl.process.answers import Question
from envctl.session import Session
from tests.builders import write

SAID = '{"name": "a", "services": {"web": {"image": "nginx:1.26"}}}'


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Return a session whose PATH has a fake `docker` that records its calls."""
    docker = f"#!/bin/sh\necho x >> {tmp_path}/runs\necho '{SAID}'\n"
    write(tmp_path, {".git/HEAD": "", "compose.yaml": "services: {web: {image: 'nginx:1.26'}}\n", "bin/docker": docker})
    (tmp_path / "bin" / "docker").chmod(0o755)
    return Session({"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "XDG_STATE_HOME": f"{tmp_path}/state"}, tmp_path)


def runs(session: Session) -> int:
    noted = session.cwd / "runs"
    return len(noted.read_text().splitlines()) if noted.exists() else 0


def beginnings(session: Session, monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    """Return the list of the questions that are asked ahead from now on."""
    found: list[Question] = []
    monkeypatch.setattr(session.answers, "begin", found.append)
    return found


def opened(session: Session) -> None:
    open_environment("compose.yaml", cwd=session.cwd, environ=session.environ, answers=session.answers)


def test_compose_is_asked_once(session: Session) -> None:
    with begun_ahead(session, ["up", "compose.yaml", "--json"]):
        opened(session)
    assert runs(session) == 1


def test_a_plain_line_begins_it(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = beginnings(session, monkeypatch)
    with begun_ahead(session, ["up", "compose.yaml", "--json"]):
        pass
    assert len(begun) == 1


@pytest.mark.parametrize(
    "words", [["up", "--only", "web", "compose.yaml"], ["up", "compose.yaml", "--untrusted"], ["status", "compose.yaml"], ["up"]]
)
def test_nothing_is_begun_where_it_is_not_plain(session: Session, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    begun = beginnings(session, monkeypatch)
    with begun_ahead(session, words):
        pass
    assert begun == []


@pytest.mark.parametrize("env", ["no-such", "nowhere.yaml"])
def test_what_is_not_there_is_said_by_the_command(session: Session, env: str) -> None:
    with begun_ahead(session, ["up", env]):
        pass


@pytest.mark.parametrize("key", ["env_file: /etc/passwd", "env_file: ../secret.env", "extends: {file: ../other.yaml, service: web}"])
def test_what_names_files_elsewhere_is_not_read_ahead_either(session: Session, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    write(session.cwd, {"compose.yaml": f"services: {{web: {{image: 'nginx:1.26', {key}}}}}\n"})
    begun = beginnings(session, monkeypatch)
    with begun_ahead(session, ["up", "compose.yaml"]), pytest.raises(DefinitionError, match="outside of the project"):
        opened(session)
    assert begun == []
