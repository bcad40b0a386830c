"""Existing containers, as the daemon reports them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from envctl.engines.docker.api import ApiError, Daemon, Endpoint
from envctl.engines.docker.connection import Connection
from envctl.engines.docker.instance import DockerInstance
from envctl.engines.protocol import ServiceState
from envctl.errors import EnvctlError
from tests.fakedaemon import Answer, running


class Refusing:
    """A daemon that lists a container, and answers with an error when it is inspected."""

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


@contextmanager
def printing(answer: Answer, terminal: bool = False) -> Iterator[DockerInstance]:
    """Yield an instance with one container, whose daemon gives *answer* to requests for the container's log."""

    def answers(method: str, path: str, query: dict[str, str]) -> Answer:
        if path == "/containers/json":
            return 200, [{"Id": "c1", "Labels": {"com.docker.compose.service": "db"}}]
        return answer if path.endswith("/logs") else (200, {"Config": {"Tty": terminal}})

    with running(answers) as server:
        connection = SimpleNamespace(daemon=Daemon(Endpoint(server.host)))
        yield DockerInstance(cast(Connection, connection), "t-123456")


def test_a_log_that_the_daemon_does_not_show_is_an_error_in_a_sentence() -> None:
    with printing((501, {"message": "configured logging driver does not support reading"})) as there:
        with pytest.raises(EnvctlError, match="the log of db: configured logging driver does not support reading") as caught:
            list(there.logs("db"))
        assert "driver: none" in caught.value.hint
        with pytest.raises(EnvctlError, match="the log of db: "):
            list(there.follow(["db"], None))


def test_a_log_is_what_both_streams_have() -> None:
    framed = b"\x01\0\0\0\0\0\0\x02a\n\x02\0\0\0\0\0\0\x04b c\n"
    with printing((200, framed)) as there:
        assert b"".join(there.logs("db")) == b"a\nb c\n"
    with printing((200, b"a\r\nb\r\n"), terminal=True) as there:
        assert b"".join(there.logs("db")) == b"a\r\nb\r\n"


def test_a_container_that_went_meanwhile_has_printed_nothing() -> None:
    assert list(instance(404).logs("db")) == []
    with printing((404, {"message": "No such container: c1"})) as there:
        assert list(there.logs("db")) == []
