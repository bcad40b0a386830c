from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from envctl.engines.docker.api import Daemon, Endpoint
from envctl.engines.docker.engine import ROUNDS, found_instance, labelled, remove_instance
from tests.fakedaemon import FakeDaemon, running

Thing = dict[str, Any]


class Things:
    """The containers, networks and volumes of a fake daemon; it refuses to remove a network that still has a container."""

    def __init__(self) -> None:
        self.containers: list[Thing] = []
        self.networks: list[Thing] = []
        self.volumes: list[Thing] = []
        self.stuck: set[str] = set()
        self.stop_status = 204

    def container(self, name: str, state: str = "running") -> None:
        self.containers.append({"Id": name, "Names": [f"/t-{name}"], "State": state, "Labels": {"envctl.service": name}})

    def answer(self, method: str, path: str, query: dict[str, str]) -> tuple[int, Any]:
        lists = {"/containers/json": self.containers, "/networks": self.networks, "/volumes": {"Volumes": self.volumes or None}}
        if method == "GET":
            return 200, lists[path]
        kind, name, *_ = path.strip("/").split("/")
        if method == "POST":
            return self.stop_status, None
        if name in self.stuck or (kind == "networks" and self.containers):
            return 409, {"message": "in use"}
        found: list[Thing] = getattr(self, kind)
        gone = [thing for thing in found if name in (thing.get("Id"), thing.get("Name"))]
        for thing in gone:
            found.remove(thing)
        return (204, None) if gone else (404, {"message": "no such thing"})


@contextmanager
def daemon_with(things: Things) -> Iterator[tuple[FakeDaemon, Daemon]]:
    with running(things.answer) as server:
        yield server, Daemon(Endpoint(server.host), 5)


@pytest.fixture
def things() -> Things:
    found = Things()
    found.container("db")
    found.container("orders")
    found.container("job", "exited")
    found.networks.append({"Id": "n1", "Name": "t-123456"})
    found.volumes.append({"Name": "t-123456_db-data"})
    return found


def test_a_container_of_the_tests_own_is_no_service() -> None:
    own = {"Id": "own", "State": "running", "Labels": {"envctl.instance": "t-123456", "org.testcontainers": "true"}, "Created": 1}
    db = {**own, "Id": "db", "Labels": {"envctl.instance": "t-123456", "envctl.name": "t", "com.docker.compose.oneoff": "False"}}
    found = found_instance("t-123456", [own, db])
    assert (found.name, found.running, found.total) == ("t", 1, 1)


def test_everything_with_the_label_is_removed(things: Things) -> None:
    with daemon_with(things) as (server, daemon):
        assert remove_instance(daemon, "t-123456", {}) == []
    assert (things.containers, things.networks, things.volumes) == ([], [], [])
    assert not any(asked.startswith("POST") for asked in server.asked)
    assert all(
        query["v"] == "1" for asked, query in zip(server.asked, server.queries, strict=True) if asked.startswith("DELETE /containers")
    )


def test_only_the_instances_are_asked_for(things: Things) -> None:
    with daemon_with(things) as (server, daemon):
        found = labelled(daemon, "envctl.instance=t-123456")
        assert [server.filters(number) for number in range(3)] == [{"label": ["envctl.instance=t-123456"]}] * 3
    assert server.queries[0]["all"] == "1"
    assert {what: len(entries) for what, entries in found.items()} == {"container": 3, "network": 1, "volume": 1}


def test_running_services_that_may_take_their_time_are_stopped_first(things: Things) -> None:
    with daemon_with(things) as (server, daemon):
        remove_instance(daemon, "t-123456", {"orders": 10.4, "job": 5.0, "unknown": 3.0})
    stops = [(asked, query) for asked, query in zip(server.asked, server.queries, strict=True) if asked.startswith("POST")]
    assert stops == [("POST /containers/orders/stop", {"t": "10"})]
    assert server.asked.index("POST /containers/orders/stop") < server.asked.index("DELETE /containers/orders")


def test_a_stop_takes_a_second_at_least(things: Things) -> None:
    with daemon_with(things) as (server, daemon):
        remove_instance(daemon, "t-123456", {"orders": 0.2})
    assert {"t": "1"} in server.queries


def test_what_cannot_be_stopped_is_killed(things: Things) -> None:
    things.stop_status = 500
    with daemon_with(things) as (_, daemon):
        assert remove_instance(daemon, "t-123456", {"orders": 10}) == []


def test_nothing_there_is_nothing_to_do() -> None:
    with daemon_with(Things()) as (server, daemon):
        assert remove_instance(daemon, "x", {}) == []
    assert [asked.partition(" ")[0] for asked in server.asked] == ["GET"] * 3


def test_what_is_left_is_named_after_some_rounds(things: Things) -> None:
    things.stuck = {"db", "t-123456_db-data"}
    with daemon_with(things) as (server, daemon):
        left = remove_instance(daemon, "t-123456", {})
    assert left == ["container t-db", "network t-123456", "volume t-123456_db-data"]
    assert server.asked.count("DELETE /containers/db") == ROUNDS


def test_somebody_else_removes_it_too(things: Things) -> None:
    """A container may be listed and then be removed by another program before envctl removes it."""
    listed = things.answer

    def answer(method: str, path: str, query: dict[str, str]) -> tuple[int, Any]:
        if method == "DELETE":
            listed(method, path, query)
            return 404, {"message": "no such container"}
        return listed(method, path, query)

    things.answer = answer  # type: ignore[method-assign]
    with daemon_with(things) as (_, daemon):
        assert remove_instance(daemon, "t-123456", {}) == []
