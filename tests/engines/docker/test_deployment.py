"""Exits of containers, as the daemon's event stream reports them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from envctl.engines.docker.api import NOT_THERE, ApiError
from envctl.engines.docker.connection import Connection, connect
from envctl.engines.docker.deployment import DockerDeployment
from envctl.engines.protocol import DeploymentSettings
from envctl.errors import EngineMissing, EnvctlError
from tests.builders import plan_with, service
from tests.fakedaemon import Answer, running
from tests.processes import until

END = {"Actor": {"Attributes": {"com.docker.compose.service": "a", "exitCode": "3"}}}


class Events:
    """A stream of events with one exit, after which the stream fails or ends."""

    def __init__(self, breaks: bool) -> None:
        self._breaks = breaks

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield END
        if self._breaks:
            raise OSError("connection reset")

    def close(self) -> None: ...


class FakeConnection:
    """A connection whose daemon sends *events*."""

    def __init__(self, events: Events) -> None:
        self.daemon, self._events = self, events

    def get(self, path: str) -> dict[str, Any]:
        return {}

    def stream(self, path: str, filters: dict[str, Any]) -> Events:
        assert all(isinstance(wanted, list) for wanted in filters.values()), "the daemon takes nothing else"
        return self._events


class Refusing:
    """A daemon that refuses requests for events."""

    def stream(self, path: str, **query: Any) -> Events:
        raise ApiError(400, "no such filter")


def deployment(events: Events) -> DockerDeployment:
    connection = cast(Connection, FakeConnection(events))
    return DockerDeployment(connection, "t-123456", plan=plan_with(service("a")), settings=DeploymentSettings(Path()))


@pytest.mark.parametrize(("breaks", "why"), [(True, "connection reset"), (False, "it closed the connection")])
def test_an_end_is_told_and_then_that_the_daemon_tells_no_more(breaks: bool, why: str) -> None:
    ends: list[tuple[str, int]] = []
    losses: list[BaseException] = []
    with deployment(Events(breaks)).exit_events(lambda *end: ends.append(end), losses.append):
        [loss] = until(lambda: losses)
    assert ends == [("a", 3)]
    assert isinstance(loss, EnvctlError)
    assert loss.message == f"Docker no longer reports events: {why}"


def test_a_daemon_that_tells_no_events_is_an_error() -> None:
    refusing = cast(Connection, SimpleNamespace(daemon=Refusing()))
    there = DockerDeployment(refusing, "t-123456", plan=plan_with(service("a")), settings=DeploymentSettings(Path()))
    with pytest.raises(EnvctlError, match="Docker reports no events: no such filter"), there.exit_events(print, print):
        pytest.fail("there are none")


def test_a_listener_that_breaks_is_told_as_it_is() -> None:
    losses: list[BaseException] = []

    def breaks(service: str, status: int) -> None:
        raise ZeroDivisionError

    with deployment(Events(False)).exit_events(breaks, losses.append):
        [loss] = until(lambda: losses)
    assert isinstance(loss, ZeroDivisionError)


def test_a_daemon_that_is_stopped_before_a_start_is_gone() -> None:
    """An unreachable daemon is not reported as a failed service or as a bug in envctl."""

    def answer(method: str, path: str, query: dict[str, str]) -> Answer:
        if path == "/version":
            return 200, {"ApiVersion": "1.41"}
        labels = {"com.docker.compose.service": "a"}
        return 200, [{"Id": "c1", "Labels": labels}]

    with running(answer) as server:
        connection = connect(None, {"DOCKER_HOST": server.host})
        there = DockerDeployment(connection, "t-123456", plan=plan_with(service("a")), settings=DeploymentSettings(Path()))
        assert there.ids("a") == ["c1"]
    with pytest.raises(EngineMissing, match=r"Docker no longer answers at unix://\S+: ") as caught:
        there.start(service("a"))
    assert caught.value.hint == NOT_THERE
    with pytest.raises(EngineMissing, match="Docker no longer answers at"), there.exit_events(print, print):
        pytest.fail("there are none")


def test_compose_gets_the_values_of_secrets_that_are_variables() -> None:
    there = deployment(Events(False))
    connection = cast(Connection, SimpleNamespace(environment=dict))
    there = replace(there, connection=connection, plan=replace(there.plan, compose_variables={"PW": "of .env", "B": "b"}))
    assert there._compose_environment({"B": "asked"}).items() >= {"PW": "of .env", "B": "asked"}.items()


def test_a_daemon_that_is_stopped_while_it_tells_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    there, losses = deployment(Events(False)), list[BaseException]()

    def gone(path: str) -> None:
        raise EngineMissing("Docker no longer answers", hint=NOT_THERE)

    monkeypatch.setattr(there.connection.daemon, "get", gone)
    with there.exit_events(lambda *end: None, losses.append):
        [loss] = until(lambda: losses)
    assert isinstance(loss, EngineMissing)
