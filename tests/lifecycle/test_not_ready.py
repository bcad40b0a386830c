"""How a service that never becomes ready is reported: each cause has its own message and advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from envctl.engines import ServiceState
from envctl.errors import ServiceFailed
from envctl.plan.model import Check
from envctl.readiness import NotReady, Target, wait
from tests.builders import FakeDeployment, port, service
from tests.lifecycle.line import MakeLine

SLOW = "raise `ready: {timeout: ...}` if it is only slow"


def fails(
    line: MakeLine,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    probe: str = "http",
    *,
    local: bool = False,
    networks: Mapping[str, Any] | None = None,
    own: Mapping[str, Any] | None = None,
    composed: bool = False,
    **deployment: Any,
) -> Any:
    """Return the error of the service `api`, whose probe always fails with *said*.

    The service's port is 8000 inside and 20000 outside.
    """

    def refuse(target: Target) -> None:
        raise NotReady(said)

    monkeypatch.setattr(wait, "probe_named", lambda name: refuse)
    outside = {"host": "127.0.0.1", "port": 20000}
    checks = (Check(probe, {} if probe == "health" else {"path": "/healthz"}),)
    given: dict[str, Any] = {"checks": checks, "ready_timeout": 0.05, "compose": own or {}, "from_compose": composed}
    api = service("api", ports=(port("http", 8000, 20000),), outside=outside, **given)
    made = line(api, deployment=FakeDeployment(**deployment))
    made.started.plan = replace(made.started.plan, compose_extra={"networks": networks or {}})
    if local:
        plan = made.started.plan
        made.started.plan = replace(plan, setting=replace(plan.setting, local=frozenset(["api"])))
    error = made.fails(ServiceFailed)
    assert error.exit_code == 1, "124 is the command's own deadline"
    return error


def test_which_address_was_asked(line: MakeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    error = fails(line, monkeypatch, "connection refused")
    assert error.message == "api did not get ready within 0.05 s: http: connection refused (asked at 127.0.0.1:20000)"


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("GET /healthz answered 404 Not Found", "it has no /healthz: `ready: {http: ...}` names a path that answers with 2xx or 3xx"),
        ("GET /healthz answered 500 Oops", "it runs, and /healthz fails inside it: its log may say why"),
        ("GET / answered 401 No", "`ready: {http: /, status: 401}` accepts that answer; or name another path"),
        ("no log line matches '^up$' yet", "compare the expression of `ready: {log: ...}` with what the service prints"),
        ("connection refused", SLOW),
    ],
)
def test_what_it_answers(line: MakeLine, monkeypatch: pytest.MonkeyPatch, said: str, advice: str) -> None:
    assert fails(line, monkeypatch, said).evidence.advice == advice


NO_CURL = "its image has no `curl`: use another program in the health check, or replace the check: `ready:` in a definition"


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ('exec failed: unable to start container process: exec: "curl": executable file not found in $PATH: unknown', NO_CURL),
        ("sh: 1: curl: not found", NO_CURL),
        ("/bin/sh: curl: not found", NO_CURL),
        ("bash: line 1: curl: command not found", NO_CURL),
        ("curl: (22) The requested URL returned error: 404 not found", "if it is only slow, `start_period:` or more `retries:` in its"),
    ],
)
def test_a_health_check_that_never_passes(line: MakeLine, monkeypatch: pytest.MonkeyPatch, said: str, advice: str) -> None:
    assert fails(line, monkeypatch, said, "health", composed=True).evidence.advice.startswith(advice)


def test_the_time_that_a_health_check_was_given_is_told(line: MakeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    error = fails(line, monkeypatch, "x", "health", seen={"api": ServiceState(True, patience=0.25)})
    assert error.message == "api did not get ready within 0.25 s: health: x"


@pytest.mark.parametrize(
    ("networks", "own", "advice"),
    [
        ({"default": {"internal": True}}, {}, "its network default is `internal`, so its ports cannot be reached from here: add a network"),
        ({"default": {"internal": True}, "back": {"internal": True}}, {"back": None}, "its networks back, default are `internal`"),
        ({"default": {"internal": True}, "front": None}, {"front": None}, SLOW),
        ({"default": None}, {}, SLOW),
    ],
)
def test_networks_that_nobody_outside_is_in(
    line: MakeLine, monkeypatch: pytest.MonkeyPatch, networks: dict[str, Any], own: dict[str, Any], advice: str
) -> None:
    error = fails(line, monkeypatch, "connection refused", networks=networks, own={"networks": own})
    assert error.evidence.advice.startswith(advice)
    asked_inside = fails(line, monkeypatch, "no", "command", networks=networks, own={"networks": own})
    assert asked_inside.evidence.advice == SLOW


WHICH = "${self.port} in `run:` or `env:` is the port on which it should listen"


@pytest.mark.parametrize(
    ("local", "listens", "advice"),
    [
        (False, [], f"it listens on no port yet; {SLOW}"),
        (False, [("0.0.0.0", 8123)], f"it listens on 8123, not on 8000: {WHICH}, or `port: 8123`"),
        (
            False,
            [("127.0.0.1", 8000)],
            "it listens on 127.0.0.1 only, which cannot be reached from outside its container: ${self.bind} is",
        ),
        (False, [("::", 8000)], SLOW),
        (True, [("0.0.0.0", 8000), ("::", 9000)], f"it listens on 8000 and 9000, not on 20000: {WHICH}"),
        (
            False,
            [("127.0.0.2", 8000)],
            "it listens on 127.0.0.2 only, which cannot be reached from outside its container: ${self.bind} is",
        ),
        (False, [("::1", 8000), ("172.20.0.9", 8000)], "it listens on ::1 and 172.20.0.9 only, but it has to listen on all addresses"),
        (
            True,
            [("127.0.0.2", 20000)],
            "it listens on 127.0.0.2 only, but envctl asks it at 127.0.0.1: ${self.bind} is the address on which it should listen",
        ),
        (
            True,
            [("::1", 20000)],
            "it listens on ::1 only, but envctl asks it at 127.0.0.1: ${self.bind} is the address on which it should listen",
        ),
        (True, [("127.0.0.1", 20000)], SLOW),
    ],
)
def test_where_it_listens_instead(
    line: MakeLine, monkeypatch: pytest.MonkeyPatch, local: bool, listens: list[tuple[str, int]], advice: str
) -> None:
    error = fails(line, monkeypatch, "connection refused", local=local, listens={"api": listens})
    assert error.evidence.advice.startswith(advice)


def test_our_own_requests_are_no_part_of_the_log(line: MakeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    log = 'INFO "GET /healthz HTTP/1.1" 500\nERROR no table\nINFO "GET /healthz/deep HTTP/1.1" 200\nGET /healthz 500 2 ms'
    error = fails(line, monkeypatch, "GET /healthz answered 500 x", logged={"api": log})
    assert error.evidence.logs == ("ERROR no table", 'INFO "GET /healthz/deep HTTP/1.1" 200')
