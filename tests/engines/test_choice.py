"""The engine that envctl chooses when the user names none."""

from __future__ import annotations

import io
import socket
import sys
from pathlib import Path

import pytest

from envctl.engines.choice import default_engine
from envctl.errors import EngineMissing, UsageError
from envctl.lifecycle.options import UpOptions
from tests.builders import session_in


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return environment variables that point to a Docker socket that this user may not open."""

    def connect(self: socket.socket, path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", connect)
    return {"DOCKER_HOST": f"unix://{tmp_path}/docker.sock", "HOME": str(tmp_path)}


def test_where_nobody_listens_processes_it_is(tmp_path: Path) -> None:
    assert default_engine({"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}, refuse_unseen=True) == "local"


def test_a_socket_that_is_closed_to_the_user_lets_nobodys_commands_run_here(closed: dict[str, str]) -> None:
    with pytest.raises(EngineMissing, match="may not use Docker") as caught:
        default_engine(closed, refuse_unseen=True)
    assert "--engine local" in caught.value.hint
    assert default_engine(closed) == "local"  # commands that only read may look at local instances


@pytest.mark.parametrize(("answer", "engine"), [("y\n", "local"), ("yes\n", "local"), ("\n", ""), ("n\n", "")])
def test_on_a_terminal_it_is_asked(closed: dict[str, str], monkeypatch: pytest.MonkeyPatch, answer: str, engine: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", said := Terminal())
    if engine:
        assert default_engine(closed, refuse_unseen=True) == engine
    else:
        with pytest.raises(EngineMissing):
            default_engine(closed, refuse_unseen=True)
    assert "as processes of this machine? [y/N]" in said.getvalue()


@pytest.mark.parametrize("options", [{"engine": "local"}, {"engine": "docker", "local": ("api",)}])
def test_a_strangers_environment_has_no_processes_here(tmp_path: Path, options: dict[str, object]) -> None:
    wanted = UpOptions(environment="e", untrusted=True, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="--untrusted"):
        wanted.location(session_in(tmp_path), None)
