"""Ends of containers, as the daemon tells of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from envctl.engines.docker.connection import Connection
from envctl.engines.docker.deployment import DockerDeployment
from envctl.engines.protocol import DeploymentSettings
from envctl.errors import EnvctlError
from tests.builders import plan_with, service
from tests.processes import until

END = {"Actor": {"Attributes": {"com.docker.compose.service": "a", "exitCode": "3"}}}


class Events:
    """A stream of events: one end, then it breaks, or is over."""

    def __init__(self, breaks: bool) -> None:
        self._breaks = breaks

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield END
        if self._breaks:
            raise OSError("connection reset")

    def close(self) -> None: ...


class FakeConnection:
    """One whose daemon tells *events*."""

    def __init__(self, events: Events) -> None:
        self.api, self._events = self, events

    def events(self, **query: Any) -> Events:
        return self._events


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


def test_a_listener_that_breaks_is_told_as_it_is() -> None:
    losses: list[BaseException] = []

    def breaks(service: str, status: int) -> None:
        raise ZeroDivisionError

    with deployment(Events(False)).exit_events(breaks, losses.append):
        [loss] = until(lambda: losses)
    assert isinstance(loss, ZeroDivisionError)
