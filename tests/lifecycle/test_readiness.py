"""When a service is ready, at which address it is probed, and when waiting for it is given up."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from envctl.engines import CommandResult, ServiceState
from envctl.engines.logs import text
from envctl.errors import EnvctlError, OutOfTime, ServiceFailed
from envctl.instance.record import InstanceState
from envctl.lifecycle import barred, own_check, readiness
from envctl.lifecycle.events import Phase
from envctl.plan.model import Check, ServicePlan
from envctl.readiness import ENDED, LoginRefused, NotReady, Target, wait
from tests.builders import FakeDeployment, port, record_of, service
from tests.lifecycle.line import HEALTH, MakeLine

# The address that is probed


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Target]:
    """Replace all probes by a probe that always succeeds; return the list of the targets that are probed."""
    found: list[Target] = []
    monkeypatch.setattr(wait, "probe_named", lambda name: found.append)
    return found


def probed(line: MakeLine, asked: list[Target], plan: ServicePlan, *options: dict[str, Any], **more: Any) -> list[Target]:
    checks = tuple(Check("tcp", each) for each in options or ({},))
    line(replace(plan, checks=checks), **more).run()
    return sorted({target.port: target for target in asked}.values(), key=lambda target: target.port)


def test_a_service_is_probed_where_the_tests_reach_it(line: MakeLine, asked: list[Target]) -> None:
    ports = (port("main", 80, 20000), port("admin", 81, 20001), port("other", 82, 20002))
    plan = service("a", ports=ports, outside={"host": "h", "port": 20000, "url": "x"})
    main, admin, other = probed(line, asked, plan, {"port": "admin", "path": "/"}, {"port": 82}, {})
    assert (main.port, admin.port, other.port) == (20000, 20001, 20002)
    assert (admin.options, main.options) == ({"path": "/"}, {})
    assert main.host == "h"
    assert main.ports == {"main": 20000, "admin": 20001, "other": 20002}
    assert main.properties == {"host": "h", "port": 20000, "url": "x"}


def test_every_replica_is_probed_at_its_own_port(line: MakeLine, asked: list[Target]) -> None:
    ports = (port("main", 80, 20000), port("admin", 81, 20010))
    found = probed(line, asked, service("a", ports=ports, outside={"host": "h", "port": 20000}, replicas=3))
    assert [target.port for target in found] == [20000, 20001, 20002]
    assert found[2].ports == {"main": 20002, "admin": 20012}


def test_a_probe_can_ask_the_service(line: MakeLine, asked: list[Target]) -> None:
    deployment = FakeDeployment(logged={"a": "ready: yes"}, answers={("check",): CommandResult(3, "no")})
    (target,) = probed(line, asked, service("a", outside={"host": "h", "port": 1}), deployment=deployment)
    assert target.run(["check"]) == (3, "no")
    assert (text(target.logs()), target.health()) == ("ready: yes", ("healthy", ()))


# Deadlines


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(target: Target) -> None:
        raise LoginRefused("no such user")

    monkeypatch.setattr(wait, "probe_named", lambda name: probe)
    monkeypatch.setattr(readiness, "REFUSED_SECONDS", 0.05)


@pytest.mark.parametrize("state", ["changing", "up"])
def test_credentials_that_kept_data_does_not_know(line: MakeLine, refusing: None, state: str) -> None:
    error = line(service("db", **HEALTH), record=record_of(state=InstanceState(state))).fails()
    assert error.message == "db does not accept the credentials from the definition: health: no such user"
    assert re.search(r"`envctl reset t\S* db`", error.evidence.advice)


def test_a_new_server_may_be_about_to_make_its_users(line: MakeLine, refusing: None) -> None:
    error = line(service("db", ready_timeout=0.3, **HEALTH), record=record_of(state=InstanceState.STARTING)).fails()
    assert error.message == "db did not get ready within 0.3 s: health: no such user"


def test_a_service_has_a_deadline_of_its_own(line: MakeLine, slow: FakeDeployment) -> None:
    error = line(service("db", ready_timeout=0.1, **HEALTH), deployment=slow).fails()
    assert error.message == "db did not get ready within 0.1 s: health: its health check says starting"
    assert error.evidence.step == "readiness"
    assert error.evidence.advice.startswith("raise `ready: {timeout: ...}` if it is only slow")


class Barred(FakeDeployment):
    """A deployment that blocks the way to a service at every second look, and at every look after the sixth."""

    looks = 0

    def barred(self, service: ServicePlan) -> EnvctlError | None:
        self.looks += 1
        return EnvctlError("no right to forward its port", hint="get it") if self.looks > 6 or self.looks % 2 else None


def test_one_that_nobody_may_reach_is_not_waited_for(line: MakeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy on the way closes each connection, as a server does while it starts."""

    def closed(target: Target) -> None:
        raise NotReady(ENDED)

    monkeypatch.setattr(wait, "probe_named", lambda name: closed)
    monkeypatch.setattr(barred, "BARRED_SECONDS", 0.001)
    monkeypatch.setattr(barred, "LOOK_SECONDS", 0.0)
    plan = service("db", ready_timeout=9999, outside={"host": "h", "port": 1}, checks=(Check("tcp"),))
    deployment = Barred()
    error = line(plan, deployment=deployment).fails()
    assert deployment.looks > 7, "a right that has just been given may take a moment"
    assert error.message == "db cannot be reached: no right to forward its port"
    assert error.evidence.advice == "get it"


@pytest.mark.parametrize(("few", "looks"), [(barred.USUAL_ATTEMPTS, 0), (2 * barred.USUAL_ATTEMPTS, 1)])
def test_an_engine_is_not_asked_at_each_attempt_who_bars_the_way(
    line: MakeLine, monkeypatch: pytest.MonkeyPatch, few: int, looks: int
) -> None:
    """Each question is a request to the keeper, and every service that starts would send it."""
    attempts: list[Target] = []

    def closed(target: Target) -> None:
        attempts.append(target)
        if len(attempts) < few:
            raise NotReady(ENDED)

    monkeypatch.setattr(wait, "probe_named", lambda name: closed)
    monkeypatch.setattr(barred, "LOOK_SECONDS", 1000.0)
    plan = service("db", outside={"host": "h", "port": 1}, checks=(Check("tcp"),))
    deployment = Barred()
    line(plan, deployment=deployment).run()
    assert deployment.looks == looks


def test_patience_with_a_port_that_may_never_open(line: MakeLine) -> None:
    ports = (port("main", 80, 1),)  # no program listens there
    check = Check("tcp", {"patience": 0.05})
    found = line(service("x", ports=ports, outside={"host": "127.0.0.1", "port": 1}, checks=(check,), from_compose=True))
    found.deployment.seen["x"] = ServiceState(True)
    found.deployment.listens["x"] = []
    found.run()
    assert found.states == {"x": "seeded"}
    assert ("x", Phase.READY, "it listens on no port") in found.told


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        ([("127.0.0.1", 80)], "it listens on 127.0.0.1 only, which cannot be reached from outside its container"),
        ([("::", 8000), ("0.0.0.0", 8000)], "it listens on 8000, not on 80"),
        ([("::", 80)], "it listens on 80, and cannot be reached from here: [Errno 111] Connection refused"),
        (None, "it does not answer on 80, and envctl cannot find out where it listens"),
    ],
)
def test_what_a_service_listens_on_instead_of_the_port_that_it_publishes(
    line: MakeLine, heard: list[tuple[str, int]] | None, told: str
) -> None:
    outside = {"host": "127.0.0.1", "port": 1}
    found = line(service("x", ports=(port("main", 80, 1),), outside=outside, checks=(Check("tcp", {"patience": 0.05}),), from_compose=True))
    found.deployment.seen["x"] = ServiceState(True)
    if heard is not None:
        found.deployment.listens["x"] = heard
    found.run()
    assert ("x", Phase.READY, told) in found.told


@pytest.mark.parametrize(
    ("opened", "answers", "said"),
    [
        ([[], []], 2, None),
        ([[], [3307], [3307, 3306], [3306]], 4, None),
        ([[3307]], 0, "it listens on 3307, not on 3306"),
        ([[3306]], 0, "it runs; mysql: it closed the connection"),
    ],
)
def test_a_known_server_that_listens_nowhere_yet_is_waited_for(
    line: MakeLine, monkeypatch: pytest.MonkeyPatch, opened: list[list[int]], answers: int, said: str | None
) -> None:
    """The server is still creating its files, so services that need it must wait. The first port that it opens may not be its own."""
    looks: list[str] = []

    class Looked(FakeDeployment):
        def listening(self, service: str) -> Sequence[tuple[str, int]]:
            looks.append(service)
            return [("0.0.0.0", number) for number in opened[min(len(looks), len(opened)) - 1]]

    def answers_in_the_end(target: Target) -> None:
        if len(looks) < (answers or 9999):
            raise NotReady(ENDED)

    monkeypatch.setattr(wait, "probe_named", lambda name: answers_in_the_end)
    monkeypatch.setattr(own_check, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(own_check, "ANSWER_SECONDS", 1000.0 if answers else 0.0)
    monkeypatch.setattr(own_check, "ELSEWHERE_SECONDS", 1000.0 if answers else 0.0)
    checks = (Check("mysql", {"patience": 0.05, "silent": 1000.0}),)
    deployment = Looked(seen={"x": ServiceState(True)})
    found = line(service("x", ports=(port("mysql", 3306, 1),), checks=checks, from_compose=True), deployment=deployment)
    found.run()
    assert [text for name, phase, text in found.told if phase is Phase.READY and text] == ([said] if said else [])


def test_what_is_no_server_is_not_looked_into_again_and_again(line: MakeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper runs from a server's image; each look would start a program in its container."""

    def closed(target: Target) -> None:
        raise NotReady(ENDED)

    monkeypatch.setattr(wait, "probe_named", lambda name: closed)
    found = line(service("x", ports=(port("main", 6379, 1),), checks=(Check("redis", {"patience": 0.05}),), from_compose=True))
    found.deployment.seen["x"] = ServiceState(True)
    found.deployment.listens["x"] = []
    assert found.run(10).states == {"x": "seeded"}


def test_one_that_listens_nowhere_is_looked_at_now_and_then(line: MakeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, attempts = list[str](), list[Target]()

    def answers_late(target: Target) -> None:
        attempts.append(target)
        if len(attempts) < 10:
            raise NotReady(ENDED)

    def listening(service: str) -> list[tuple[str, int]]:
        looks.append(service)
        return []

    monkeypatch.setattr(wait, "probe_named", lambda name: answers_late)
    monkeypatch.setattr(own_check, "LOOK_SECONDS", 1000.0)
    checks = (Check("redis", {"patience": 0.0, "silent": 1000.0}),)
    found = line(service("x", ports=(port("main", 6379, 1),), checks=checks, from_compose=True))
    found.deployment.seen["x"] = ServiceState(True)
    monkeypatch.setattr(found.deployment, "listening", listening)
    assert found.run().states == {"x": "seeded"}
    assert looks == ["x"]


def test_a_server_that_closes_every_connection_is_said_to_do_that(line: MakeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def closes(target: Target) -> None:
        raise NotReady(ENDED)

    monkeypatch.setattr(wait, "probe_named", lambda name: closes)
    found = line(service("x", ports=(port("main", 80, 1),), checks=(Check("tcp", {"patience": 0.05}),), from_compose=True))
    found.deployment.seen["x"] = ServiceState(True)
    found.deployment.listens["x"] = [("0.0.0.0", 80), ("::", 80), ("127.0.0.1", 9000)]
    found.run()
    assert ("x", Phase.READY, "it listens on 80, and closed the connection") in found.told


def test_the_health_check_of_an_image_counts_where_nothing_else_is_said(line: MakeLine) -> None:
    found = line(service("x"), service("y", needs={"x": "ready"}))
    found.deployment.seen["x"] = ServiceState(True, health="starting")
    with pytest.raises(OutOfTime, match="x is still starting"):
        found.run(0.3)
    assert found.states["y"] == "pending"


def test_a_health_check_is_run_at_our_pace_and_its_words_are_shown(line: MakeLine) -> None:
    deployment = FakeDeployment(answers={("ask",): CommandResult(0, "")}, seen={"x": ServiceState(True, health="starting", check=("ask",))})
    assert line(service("x", **HEALTH), deployment=deployment).run().states == {"x": "seeded"}
    deployment = FakeDeployment(answers={("ask",): CommandResult(2, "one\nno such database\n")}, seen=deployment.seen)
    error = line(service("x", ready_timeout=0.2, **HEALTH), deployment=deployment).fails(ServiceFailed)
    assert error.message == "x did not get ready within 0.2 s: health: its health check ended with 2: no such database"


def test_a_server_of_a_compose_file_with_other_credentials_is_up(line: MakeLine, refusing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "GUESSED_REFUSED_SECONDS", 0.05)
    guess = Check("redis", {"patience": 1000.0})
    found = line(service("x", outside={"host": "h", "port": 1}, checks=(guess,), from_compose=True))
    found.deployment.seen["x"] = ServiceState(True)
    found.run()
    assert ("x", Phase.READY, "it does not accept the credentials in its Compose file") in found.told


def test_a_service_that_its_file_restarts_has_the_time_of_the_command(line: MakeLine) -> None:
    found = line(service("x", ready_timeout=0.05, from_compose=True, **HEALTH))
    found.deployment.seen["x"] = ServiceState(True, health="starting", restarts=True)
    found.deployment.on_start["x"] = lambda: found.deployment.on_exit("x", 1)
    with pytest.raises(OutOfTime, match="out of time: x is still starting"):
        found.run(0.5)


def test_one_without_a_check_that_ends_and_is_restarted_must_run_for_a_while(line: MakeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "SETTLED_SECONDS", 0.05)
    found = line(service("x", from_compose=True))
    found.deployment.seen["x"] = ServiceState(True, restarts=True)
    found.deployment.on_start["x"] = lambda: found.deployment.on_exit("x", 1)
    assert found.run().states == {"x": "seeded"}
    assert ("x", Phase.WAITING, "it has ended, and is being started again") in found.told


def test_a_port_that_is_open_while_its_program_is_started_again_is_not_ready(line: MakeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    found = line(service("x", checks=(Check("tcp", {"patience": 5.0}),), from_compose=True))
    found.deployment.seen["x"] = ServiceState(True, restarts=True)
    found.deployment.on_start["x"] = lambda: found.deployment.on_exit("x", 1)
    asked = 0

    def open_for_a_moment(target: Target) -> None:
        nonlocal asked
        asked += 1
        if asked > 2:
            raise NotReady("closed")

    monkeypatch.setattr(wait, "probe_named", lambda name: open_for_a_moment)
    with pytest.raises(OutOfTime, match="out of time: x is still"):
        found.run(0.3)


def test_one_that_was_started_again_is_ready_when_it_answers_once_it_is_known_to_run(line: MakeLine, asked: list[Target]) -> None:
    found = line(service("x", checks=(Check("tcp", {"patience": 5.0}),), from_compose=True))
    found.deployment.seen["x"] = ServiceState(True, restarts=True)
    found.deployment.on_start["x"] = lambda: found.deployment.on_exit("x", 1)
    assert found.run().states == {"x": "seeded"}
    assert len(asked) == 3


def test_what_waits_to_be_started_again_is_not_asked(line: MakeLine, asked: list[Target]) -> None:
    """The log still contains the line that the check looks for."""
    found = line(service("x", checks=(Check("log", {"log": "up"}),), from_compose=True))
    found.deployment.seen["x"] = ServiceState(True, restarts=True, restarting=True)
    found.deployment.on_start["x"] = lambda: found.deployment.on_exit("x", 1)
    with pytest.raises(OutOfTime, match="out of time: x is still starting"):
        found.run(0.3)
    assert len(asked) == wait.PASSES
    assert found.left == []


def test_a_loop_of_crashes_is_given_up_though_its_check_passes(line: MakeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    found = line(service("x", ready_timeout=0.1, checks=(Check("log", {"log": "up"}),)))
    found.deployment.seen["x"] = ServiceState(True)
    monkeypatch.setattr(wait, "probe_named", lambda name: lambda target: found.deployment.on_exit("x", 1))
    error = found.fails(seconds=5)
    assert error.message == "x did not get ready within 0.1 s: it ended with 1"
    assert found.left == []


def test_a_guess_begins_anew_with_each_start(line: MakeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    found = line(service("x", checks=(Check("tcp", {"patience": 0.05}),), from_compose=True))
    found.deployment.seen["x"] = ServiceState(True, restarts=True, restarting=True)
    asked: list[float] = []

    def ends_twice(target: Target) -> None:
        asked.append(time.monotonic())
        if len(asked) < 6:
            found.deployment.on_exit("x", 1)
        raise NotReady("closed")

    monkeypatch.setattr(wait, "probe_named", lambda name: ends_twice)
    assert found.run().states == {"x": "seeded"}
    assert len(asked) >= 6, "more attempts than fit into 0.05 s"
    assert ("x", Phase.READY, "it ended with 1, and is being started again") in found.told


# Services without a check


def test_a_service_without_a_check_that_ran_before_is_not_waited_for(line: MakeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "SETTLED_SECONDS", 1000.0)
    found = line(service("worker"), deployment=FakeDeployment(seen={"worker": ServiceState(True, id="c1")})).run()
    assert found.states == {"worker": "seeded"}


def test_a_service_without_a_check_is_not_up_before_it_runs(line: MakeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a cluster, a service's pod appears only some time after the service was started."""
    monkeypatch.setattr(readiness, "SETTLED_SECONDS", 0.0)
    found = line(service("worker"), deployment=FakeDeployment(seen={"worker": ServiceState()}))
    looks = iter(range(5))

    def state(name: str) -> ServiceState:
        return ServiceState(next(looks, None) is None)

    monkeypatch.setattr(found.deployment, "state", state)
    assert found.run().states == {"worker": "seeded"}
    assert next(looks, None) is None, "it was asked until it ran"


def test_a_service_without_a_check_that_never_runs_has_failed(line: MakeLine) -> None:
    deployment = FakeDeployment(seen={"worker": ServiceState()})
    error = line(service("worker", ready_timeout=0.05), deployment=deployment).fails()
    assert error.message == "worker was started, but is not running after 0.05 s"
    assert error.evidence.step == "start"
