"""The findings of `envctl doctor` about Docker."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from envctl.engines.docker import doctor
from envctl.engines.protocol import Finding
from envctl.session import Session
from tests import fakedaemon


def found(folder: Path, **environ: str) -> list[Finding]:
    return list(doctor.findings(Session(environ, folder).host))


def test_a_daemon_that_is_not_there(tmp_path: Path) -> None:
    [refused] = [each for each in found(tmp_path, DOCKER_HOST="unix:///nowhere.sock") if "does not answer" in each.text]
    assert (refused.ok, refused.needed) == (False, True)
    assert refused.advice
    assert "envctl doctor" not in refused.advice, "that is what runs"


def test_a_dead_tcp_host_is_said_soon(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        assert any("DOCKER_HOST" in finding.advice for finding in found(tmp_path, DOCKER_HOST=host))


def test_a_daemon_that_answers(tmp_path: Path) -> None:
    answers = {"/version": {"ApiVersion": "1.41"}, "/info": {"ServerVersion": "20.10.24", "CgroupVersion": "2"}, "/networks": []}
    with fakedaemon.running(lambda method, path, query: (200, answers[path.removeprefix("/v1.41")])) as daemon:
        texts = [each.text for each in found(tmp_path, DOCKER_HOST=daemon.host) if each.ok]
    assert f"Docker Engine 20.10.24 answers, API 1.41, at {daemon.host}" in texts
    assert any(text.startswith("0 networks; the next one could get 10.231.") for text in texts)


def test_buildkit_may_be_turned_off(tmp_path: Path) -> None:
    environ = {"DOCKER_HOST": "unix:///nowhere.sock", "DOCKER_BUILDKIT": "0"}
    assert [each.ok for each in found(tmp_path, **environ) if "BuildKit" in each.text] == [False]


@pytest.mark.parametrize(("version", "ok"), [("2.19.9", False), ("2.20.0", True), ("5.0.1-4", True), ("none", False)])
def test_the_version_of_compose(tmp_path: Path, version: str, ok: bool) -> None:
    plugin = tmp_path / "cli-plugins/docker-compose"
    plugin.parent.mkdir()
    plugin.write_text(f"#!/bin/sh\necho {version}\n")
    plugin.chmod(0o755)
    seen = found(tmp_path, DOCKER_HOST="unix:///nowhere.sock", DOCKER_CONFIG=str(tmp_path))
    assert [(each.ok, each.needed) for each in seen if "Compose" in each.text] == [(ok, True)]


def test_rootless_without_cgroups_2() -> None:
    assert not doctor.cgroups({"CgroupVersion": "1", "SecurityOptions": ["name=rootless"]}).ok
    assert doctor.cgroups({"CgroupVersion": "2", "SecurityOptions": ["name=rootless"]}).ok
    assert doctor.cgroups({}).ok
