"""Containers that are there, as the daemon tells of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests
from docker.errors import APIError

from envctl.engines.docker.api import ApiError, Daemon
from envctl.engines.docker.connection import Connection
from envctl.engines.docker.instance import DockerInstance
from envctl.engines.protocol import ServiceState
from envctl.errors import EnvctlError


class Refusing:
    """A daemon that lists a container, and answers with an error when it is asked for it."""

    def __init__(self, status: int) -> None:
        self._status = status

    find = Daemon.find

    def get(self, path: str, **query: Any) -> Any:
        if path == "/containers/json":
            return [{"Id": "c1", "Labels": {"com.docker.compose.service": "db"}}]
        raise ApiError(self._status, "its words")


def instance(status: int) -> DockerInstance:
    return DockerInstance(cast(Connection, SimpleNamespace(daemon=Refusing(status))), "t-123456")


def test_a_container_that_went_meanwhile_is_not_there() -> None:
    assert instance(404).state("db") == ServiceState()


def test_a_daemon_that_cannot_say_is_an_error() -> None:
    with pytest.raises(EnvctlError, match="Docker cannot tell the state of db: its words"):
        instance(500).states()


def test_a_command_on_a_terminal_has_the_variables_of_the_caller_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THIS_PROCESS", "yes")
    connection = SimpleNamespace(daemon=Refusing(500), context=None, environ={"PATH": "/bin"})
    command = DockerInstance(cast(Connection, connection), "t-123456").interactive("db", ["psql"], {"A": "b"}, None)
    assert command.env == {"PATH": "/bin", "A": "b"}


def test_a_container_without_its_network_does_not_count_as_running() -> None:
    mode = {"NetworkMode": "t"}
    seen = {"State": {"Running": True, "Status": "running"}, "HostConfig": mode, "NetworkSettings": {"Networks": {}}}

    class Seeing(Refusing):
        def get(self, path: str, **query: Any) -> Any:
            return seen if path == "/containers/c1/json" else super().get(path, **query)

    there = DockerInstance(cast(Connection, SimpleNamespace(daemon=Seeing(404))), "t-123456")
    assert there.state("db") == ServiceState(id="c1", lacks="its network was removed")
    mode["NetworkMode"] = "container:x"
    assert there.state("db").running


def test_a_log_that_the_daemon_does_not_show_is_an_error_in_a_sentence() -> None:
    answer = requests.Response()
    answer.status_code = 501

    def logs(container: str, **options: Any) -> Any:
        raise APIError("501 Server Error", answer, "configured logging driver does not support reading")

    there = DockerInstance(cast(Connection, SimpleNamespace(daemon=Refusing(404), api=SimpleNamespace(logs=logs))), "t-123456")
    with pytest.raises(EnvctlError, match="the log of db: configured logging driver does not support reading") as caught:
        list(there.logs("db"))
    assert "driver: none" in caught.value.hint
    with pytest.raises(EnvctlError, match="the log of db: "):
        list(there.follow(["db"], None))
