from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from envctl.engines.docker.api import Daemon, Endpoint
from envctl.engines.docker.connection import DEFAULT, Connection, connect, find_endpoint
from envctl.errors import EngineMissing
from tests import fakedaemon


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set DOCKER_CONFIG to an empty folder, unset the other Docker variables, and return the folder."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def context(config: Path, name: str, docker: dict[str, Any] | None, tls: bool = False) -> Path:
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = config / "contexts/meta" / digest / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Endpoints": {} if docker is None else {"docker": docker}}))
    folder = config / "contexts/tls" / digest / "docker"
    if tls:
        folder.mkdir(parents=True)
    return folder


def test_without_anything_it_is_the_usual_socket() -> None:
    assert find_endpoint(None, os.environ) == (Endpoint(DEFAULT), None)
    assert find_endpoint("default", os.environ) == (Endpoint(DEFAULT), "default")


def test_a_context_by_name(config: Path) -> None:
    context(config, "remote", {"Host": "ssh://me@host"})
    assert find_endpoint("remote", os.environ) == (Endpoint("ssh://me@host"), "remote")


@pytest.mark.parametrize(("skip", "verify"), [(False, True), (True, False)])
def test_a_context_with_certificates(config: Path, skip: bool, verify: bool) -> None:
    tls = context(config, "remote", {"Host": "tcp://host:2376", "SkipTLSVerify": skip}, tls=True)
    assert find_endpoint("remote", os.environ)[0] == Endpoint("tcp://host:2376", str(tls), verify)


@pytest.mark.parametrize("docker", [None, {}, {"Host": ""}])
def test_a_context_that_says_nothing(config: Path, docker: dict[str, Any] | None) -> None:
    context(config, "bare", docker)
    assert find_endpoint("bare", os.environ)[0].host == DEFAULT


def test_who_comes_first(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is: the argument, DOCKER_HOST, DOCKER_CONTEXT, the current context."""
    for name in ("current", "variable", "argument"):
        context(config, name, {"Host": f"tcp://{name}"})
    (config / "config.json").write_text('{"currentContext": "current"}')
    assert find_endpoint(None, os.environ) == (Endpoint("tcp://current"), "current")
    monkeypatch.setenv("DOCKER_CONTEXT", "variable")
    assert find_endpoint(None, os.environ) == (Endpoint("tcp://variable"), "variable")
    monkeypatch.setenv("DOCKER_HOST", "tcp://host")
    assert find_endpoint(None, os.environ) == (Endpoint("tcp://host", verify=False), None)
    assert find_endpoint("argument", os.environ) == (Endpoint("tcp://argument"), "argument")


@pytest.mark.parametrize(
    ("variables", "tls", "verify"),
    [
        ({}, False, False),
        ({"DOCKER_TLS_VERIFY": "1"}, True, True),
        ({"DOCKER_TLS": "1"}, True, False),
        ({"DOCKER_TLS_VERIFY": ""}, False, False),
    ],
)
def test_tls_of_the_environment(config: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], tls: bool, verify: bool) -> None:
    for name, value in {"DOCKER_HOST": "tcp://h", **variables}.items():
        monkeypatch.setenv(name, value)
    assert find_endpoint(None, os.environ)[0] == Endpoint("tcp://h", str(config) if tls else None, verify)
    monkeypatch.setenv("DOCKER_CERT_PATH", "/certs")
    assert find_endpoint(None, os.environ)[0].tls == ("/certs" if tls else None)


def test_a_socket_that_is_closed_to_this_user_is_not_to_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("envctl.engines.docker.api.Daemon.get", refuse)
    with pytest.raises(EngineMissing, match="this user may not use Docker at unix://") as caught:
        connect(None, {"DOCKER_HOST": "unix:///run/x.sock"})
    assert "docker" in caught.value.hint
    assert "systemctl" not in caught.value.hint


def test_a_context_that_is_not_there(config: Path) -> None:
    context(config, "remote", {})
    with pytest.raises(EngineMissing, match="there is no Docker context 'remot'") as caught:
        find_endpoint("remot", os.environ)
    assert caught.value.hint == "did you mean 'remote'?"
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"'])
def test_a_configuration_that_cannot_be_read(config: Path, content: str) -> None:
    (config / "config.json").write_text(content)
    assert find_endpoint(None, os.environ)[0].host == DEFAULT


@pytest.mark.parametrize("content", ["[]", '{"auths": {"registry.test": {"auth": "!!!"}}}'])
def test_what_the_sdk_cannot_use_is_told(config: Path, content: str) -> None:
    (config / "config.json").write_text(content)
    connection = Connection(Endpoint("unix:///nowhere.sock"), None, Daemon(Endpoint("unix:///nowhere.sock")), "1.41")
    with pytest.raises(EngineMissing, match="Docker's configuration cannot be used"):
        _ = connection.api


def test_certificates_that_are_not_there_are_told(tmp_path: Path) -> None:
    endpoint = Endpoint("tcp://127.0.0.1:1", str(tmp_path / "none"))
    with pytest.raises(EngineMissing, match="Invalid CA certificate"):
        _ = Connection(endpoint, None, Daemon(endpoint), "1.41").api


def test_the_configuration_is_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".docker").mkdir()
    context(tmp_path / ".docker", "mine", {"Host": "tcp://mine"})
    assert find_endpoint("mine", os.environ)[0].host == "tcp://mine"


def test_nothing_goes_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's proxy cannot reach a daemon on this machine, such as a tunnel or Docker in Docker."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        for variable in (name, name.lower()):
            monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    with fakedaemon.running(lambda method, path, query: (200, {"ApiVersion": "1.41"}), tcp=True) as daemon:
        connection = connect(daemon.host, os.environ)
        connection.api.version()
        assert len(daemon.asked) == 2
