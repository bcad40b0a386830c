"""A service's own health check does not run before the service can pass it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from envctl.engines import CommandResult, Execution, ServiceState
from envctl.errors import EnvctlError
from envctl.lifecycle import own_check
from envctl.plan.model import ServicePlan
from tests.builders import FakeDeployment, port, service
from tests.lifecycle.line import HEALTH, MakeLine

NOT_ASKED = "x did not get ready within 0.3 s: health: its health check says starting"


@pytest.fixture
def deployment() -> FakeDeployment:
    starting = ServiceState(True, health="starting", check=("ask",))
    return FakeDeployment(answers={("ask",): CommandResult(0, "")}, seen={"x": starting}, listens={"x": []})


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def checked(*numbers: int, **changes: Any) -> ServicePlan:
    ports = tuple(port(f"p{number}", 80 + at, number) for at, number in enumerate(numbers))
    return service("x", ports=ports, outside={"host": "127.0.0.1", "port": numbers[0]}, ready_timeout=0.3, **HEALTH, **changes)


def test_it_waits_for_a_port_of_the_service(line: MakeLine, deployment: FakeDeployment) -> None:
    assert line(checked(1), deployment=deployment).fails().message == NOT_ASKED  # no program listens on port 1
    assert deployment.executed == []


def test_any_port_will_do(line: MakeLine, deployment: FakeDeployment, listening: int) -> None:
    assert line(checked(1, listening), deployment=deployment).run().states == {"x": "seeded"}
    assert deployment.executed == [("x", ("ask",))]


def test_a_port_that_never_opens_holds_it_up_for_some_time_only(
    line: MakeLine, deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_check, "COMPOSED_PATIENCE", 0.05)
    assert line(checked(1), deployment=deployment).run().states == {"x": "seeded"}


def test_what_its_engine_has_found_healthy_needs_no_port(line: MakeLine, deployment: FakeDeployment) -> None:
    deployment.seen["x"] = ServiceState(True, health="healthy", check=("ask",))
    assert line(checked(1), deployment=deployment).run().states == {"x": "seeded"}


def test_one_that_nobody_outside_reaches_is_looked_at_from_inside(line: MakeLine, deployment: FakeDeployment) -> None:
    inside = service("x", ports=(port("amqp", 5672, None),), ready_timeout=0.3, **HEALTH)
    deployment.listens["x"] = [("0.0.0.0", 4369)]
    assert line(inside, deployment=deployment).fails().message == NOT_ASKED


def test_one_that_is_seen_from_inside_to_listen_is_asked(line: MakeLine, deployment: FakeDeployment) -> None:
    deployment.listens["x"] = [("::", 5672)]
    inside = service("x", ports=(port("amqp", 5672, None),), ready_timeout=0.3, **HEALTH)
    assert line(inside, deployment=deployment).run().states == {"x": "seeded"}


def test_one_that_does_not_end_keeps_nobody_waiting(line: MakeLine, deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    ends, begun = threading.Event(), list[str]()

    def execute(name: str, execution: Execution) -> CommandResult:
        begun.append(name)
        ends.wait(20)
        return CommandResult(0, "")

    monkeypatch.setattr(deployment, "execute", execute)
    deployment.seen["x"] = ServiceState(True, health="starting", check=("ask",), check_seconds=0.05)
    try:
        message = line(service("x", ready_timeout=0.3, **HEALTH), deployment=deployment).fails().message
    finally:
        ends.set()
    assert message == "x did not get ready within 0.3 s: health: its health check does not end"
    assert begun == ["x"], "once, not one beside the other"


def test_what_its_engine_calls_unhealthy_gets_no_more_time_than_anything_else(line: MakeLine) -> None:
    never = ServiceState(True, health="unhealthy", check=("ask",), patience=20.0)
    deployment = FakeDeployment(answers={("ask",): CommandResult(1, "no")}, seen={"x": never})
    failed = line(service("x", ready_timeout=0.1, **HEALTH), deployment=deployment).fails()
    assert failed.message.endswith("health: its health check ended with 1: no")
    assert len(deployment.executed) < 20, "as often as in a tenth of a second, not in twenty of them"


def test_its_engine_is_asked_once_for_each_run(line: MakeLine, deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """This also holds when the engine allows the check more time than the definition does."""
    asked, plain = list[str](), deployment.state

    def state(name: str) -> ServiceState:
        asked.append(name)
        return plain(name)

    monkeypatch.setattr(deployment, "state", state)
    monkeypatch.setattr(own_check, "STATE_SECONDS", 1000.0)
    deployment.seen["x"] = ServiceState(True, health="starting", check=("ask",), patience=1.0)
    deployment.answers["ask",] = CommandResult(1, "no")
    line(service("x", ready_timeout=0.001, **HEALTH), deployment=deployment).fails()
    assert len(deployment.executed) > 3
    others = 4  # looks before the first check, and for the error's evidence
    assert len(asked) <= len(deployment.executed) + others


def test_one_that_runs_for_long_does_not_hide_that_another_has_failed(line: MakeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = threading.Event()
    deployment = FakeDeployment(seen={"x": ServiceState(True, health="starting", check=("ask",), check_seconds=1000.0)})

    def execute(name: str, execution: Execution) -> CommandResult:
        deployment.exits("y", 1)
        ends.wait(20)
        return CommandResult(0, "")

    monkeypatch.setattr(deployment, "execute", execute)
    found = line(service("x", **HEALTH), service("y", ports=(port("p", 80, 1),), ready_timeout=9999, **HEALTH), deployment=deployment)
    deployment.seen["y"] = ServiceState(True, health="starting")
    found.patience = 0.5
    try:
        assert found.fails().message == "y ended with 1"
        waiting = [thread.name for thread in found.left if "health check" not in thread.name]
    finally:
        ends.set()
    assert waiting == [], "but for the check itself, which nobody can end"


@pytest.fixture
def unseen(deployment: FakeDeployment) -> list[str]:
    """Make every request for a service's listening addresses fail; return the list of the services that were asked about."""
    found: list[str] = []

    def listening(service: str) -> list[tuple[str, int]]:
        found.append(service)
        raise EnvctlError("its image has no program that prints where it listens")

    deployment.listening = listening  # type: ignore[method-assign]
    return found


def inside(seconds: float) -> ServicePlan:
    return service("x", ports=(port("amqp", 5672, None),), ready_timeout=seconds, **HEALTH)


def test_one_that_nobody_can_look_into_is_not_asked_and_looked_at_now_and_then(
    line: MakeLine, deployment: FakeDeployment, unseen: list[str]
) -> None:
    assert line(inside(0.3), deployment=deployment).fails().message == NOT_ASKED
    assert deployment.executed == []
    assert unseen == ["x"], "more than one of the looks that fit into 0.3 s"


def test_one_that_nobody_can_look_into_is_asked_in_the_end(
    line: MakeLine, deployment: FakeDeployment, unseen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_check, "COMPOSED_PATIENCE", 0.05)
    assert line(inside(5.0), deployment=deployment).run().states == {"x": "seeded"}
    assert deployment.executed == [("x", ("ask",))]


def test_one_that_ends_while_it_is_looked_into_has_ended(line: MakeLine, deployment: FakeDeployment, unseen: list[str]) -> None:
    deployment.on_start["x"] = lambda: deployment.exits("x", 1, health="starting", check=("ask",))
    assert line(inside(5.0), deployment=deployment).fails().message == "x ended with 1"


def test_it_is_looked_at_again(line: MakeLine, deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_check, "LOOK_SECONDS", 0.0)
    answers = iter([[], [], [("::", 5672)]])
    monkeypatch.setattr(deployment, "listening", lambda name: next(answers, [("::", 5672)]))
    assert line(inside(5.0), deployment=deployment).run().states == {"x": "seeded"}
