"""The watch of an instance's pods: the exits that it reports, and the report that the watch itself has ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from envctl.engines.kubernetes import watching
from envctl.engines.kubernetes.api import Api
from envctl.engines.kubernetes.watching import Pods
from envctl.errors import EngineMissing, EnvctlError
from tests.processes import until

ENDED = {
    "metadata": {
        "name": "a-1", "uid": "1", "creationTimestamp": "2030-01-01T00:00:00Z", "resourceVersion": "2", "labels": {"envctl.service": "a"},
    },
    "spec": {"containers": [{"name": "a", "image": "a:1"}]},
    "status": {"containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 3}}, "restartCount": 0}]},
}  # fmt: skip


class Stream:
    """A watch response with some events, after which the connection ends."""

    connection = None

    def __init__(self, *events: dict[str, Any]) -> None:
        self._events = events

    def stream(self, size: int, decode_content: bool) -> Iterator[bytes]:
        for event in self._events:
            yield json.dumps(event).encode() + b"\n"

    def close(self) -> None: ...


class Cluster(Api):
    """An API server that lists no pods, sends the given events once, and then stops answering."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self._lists, self._streams = 1, [Stream(*events)]

    def request(self, method: str, path: str, body: Any = None, content: str = "application/json", **query: str) -> Any:
        if path.endswith("/pods") and self._lists:
            self._lists -= 1
            return {"items": [], "metadata": {"resourceVersion": "1"}}
        raise EngineMissing("the API server does not answer")

    def stream(self, path: str, patience: float | None = None, **query: str) -> Stream:
        if path.endswith("/pods") and self._streams:
            return self._streams.pop()
        raise EngineMissing("the API server does not answer")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PAUSE", 0.01)
    monkeypatch.setattr(watching, "LOST", 0.05)


def test_an_end_is_told_and_then_that_the_cluster_tells_no_more() -> None:
    ends: list[tuple[str, int]] = []
    losses: list[BaseException] = []
    api = Cluster({"type": "ADDED", "object": ENDED})
    with Pods(api, "ns", "t-123456", lambda *end: ends.append(end), losses.append).following():
        [loss] = until(lambda: losses)
    assert ends == [("a", 3)]
    assert isinstance(loss, EnvctlError)
    assert loss.message == "the cluster no longer reports its pods: the API server does not answer"


def test_a_listener_that_breaks_is_told() -> None:
    losses: list[BaseException] = []
    api = Cluster({"type": "ADDED", "object": ENDED})

    def breaks(service: str, status: int) -> None:
        raise ZeroDivisionError

    with Pods(api, "ns", "t-123456", breaks, losses.append).following():
        until(lambda: losses)
    assert isinstance(losses[0], ZeroDivisionError)


def test_its_own_end_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOST", 60.0)
    losses: list[BaseException] = []
    watched = Pods((Cluster()), "ns", "t-123456", on_loss=losses.append)
    with watched.following():
        pass
    assert not watched.wait(lambda: False)
    assert losses == []


def test_what_cannot_be_listed_is_not_followed() -> None:
    api = Cluster()
    api._lists = 0
    with pytest.raises(EnvctlError, match="does not answer"), Pods(api, "ns", "t-123456").following():
        raise AssertionError("it has begun")
