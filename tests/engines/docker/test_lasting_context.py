"""The daemon in an instance's record is the daemon on which the instance was brought up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envctl.engines.choice import lasting_context
from envctl.engines.docker.api import Daemon, Endpoint
from envctl.engines.docker.connection import DEFAULT, Connection, find_endpoint


@pytest.fixture(autouse=True)
def _no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


def test_what_a_record_keeps_leads_to_the_same_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lasting_context("docker", os.environ) == lasting_context("docker", os.environ, "default") == DEFAULT
    monkeypatch.setenv("DOCKER_HOST", "tcp://there:2375")
    kept = lasting_context("docker", os.environ)
    assert kept == "tcp://there:2375"
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    assert find_endpoint(kept, os.environ)[0].host == "tcp://there:2375"
    assert lasting_context("local", os.environ) is None


def test_a_host_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "there:2375")
    assert find_endpoint(None, os.environ)[0].host == lasting_context("docker", os.environ) == "tcp://there:2375"


def test_a_context_that_is_not_there_is_somebody_elses_to_tell() -> None:
    assert lasting_context("docker", os.environ, "nosuch") == "nosuch"


@pytest.mark.parametrize(
    ("context", "variables"),
    [(None, {"DOCKER_HOST": "tcp://now"}), ("named", {"DOCKER_CONTEXT": "named"}), ("tcp://kept", {"DOCKER_HOST": "tcp://kept"})],
)
def test_dockers_programs_talk_to_the_same(monkeypatch: pytest.MonkeyPatch, context: str | None, variables: dict[str, str]) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://now")
    monkeypatch.setenv("DOCKER_CONTEXT", "now")
    endpoint = Endpoint("tcp://x")
    found = Connection(endpoint, context, Daemon(endpoint), "1.41").environment(os.environ)
    assert {key: found[key] for key in ("DOCKER_HOST", "DOCKER_CONTEXT") if key in found} == variables
