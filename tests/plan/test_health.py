from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from envctl.definition.kinds import Kind
from envctl.definition.models import Ready
from envctl.plan.health import checks_of, checks_of_composed, healthcheck_of, waited_for
from envctl.plan.model import Check
from tests.builders import service

SERVER = Kind(kind="db", ready={"probe": "postgres", "x": 1})
OWN = Kind(kind="api", own=True, ready={"probe": "http", "path": "/", "status": "any"})
JOB = Kind(kind="job", own=True, once=True)
PLAIN = Kind(kind="plain")
PORTS = {"main": 80, "admin": 81}


@pytest.mark.parametrize(
    ("kind", "ready", "ports", "expected"),
    [
        (SERVER, None, PORTS, [Check("postgres", {"x": 1})]),
        (SERVER, {"query": "select 1"}, PORTS, [Check("postgres", {"x": 1}), Check("query", {"query": "select 1", "probe": "postgres"})]),
        (SERVER, {"timeout": "5s"}, PORTS, [Check("postgres", {"x": 1})]),
        (OWN, None, PORTS, [Check("http", {"path": "/", "status": "any"})]),
        (OWN, {"http": "/healthz"}, PORTS, [Check("http", {"path": "/healthz"})]),
        (OWN, {"http": "/h", "status": 401, "port": "admin"}, PORTS, [Check("http", {"path": "/h", "status": 401, "port": "admin"})]),
        (OWN, {"http": "/h", "status": [200, 401]}, PORTS, [Check("http", {"path": "/h", "status": [200, 401]})]),
        (OWN, {"tcp": True, "port": 81}, PORTS, [Check("tcp", {"port": 81})]),
        (OWN, {"tcp": False}, PORTS, [Check("http", {"path": "/", "status": "any"})]),
        (OWN, {"log": "^up", "command": ["x", "y"]}, PORTS, [Check("command", {"command": ["x", "y"]}), Check("log", {"log": "^up"})]),
        (OWN, {"timeout": "5s"}, PORTS, [Check("http", {"path": "/", "status": "any"})]),
        (PLAIN, None, PORTS, [Check("tcp")]),
        (PLAIN, None, {}, []),
        (JOB, None, PORTS, []),
        (JOB, None, {}, []),
        (OWN, None, {}, []),
        (OWN, {"log": "up"}, {}, [Check("log", {"log": "up"})]),
    ],
)
def test_checks(kind: Kind, ready: dict[str, Any] | None, ports: dict[str, int], expected: list[Check]) -> None:
    assert list(checks_of(kind, Ready.model_validate(ready) if ready else None, ports)) == expected


@pytest.mark.parametrize(
    ("kind", "ready", "healthcheck", "published", "seeded", "probes"),
    [
        (PLAIN, None, {"test": "x"}, True, False, ["health"]),
        (PLAIN, None, {"test": "x", "disable": True}, True, False, ["tcp"]),
        (PLAIN, None, {"interval": "1s"}, True, False, ["tcp"]),
        (PLAIN, None, None, True, False, ["tcp"]),
        (PLAIN, None, None, False, False, []),
        (JOB, None, None, True, False, []),
        (SERVER, None, {"test": "x"}, True, False, ["health", "postgres"]),
        (SERVER, None, {"test": "x"}, True, True, ["postgres"]),
        (PLAIN, {"log": "up"}, {"test": "x"}, True, False, ["log"]),
        (SERVER, {"log": "up"}, None, True, True, ["log"]),
        (SERVER, {"timeout": 90}, None, True, False, ["postgres"]),
        (PLAIN, None, None, True, True, ["tcp"]),
        (PLAIN, None, None, False, True, []),
    ],
)
def test_checks_of_a_service_of_a_compose_file(
    kind: Kind, ready: dict[str, Any] | None, healthcheck: object, published: bool, seeded: bool, probes: list[str]
) -> None:
    found = checks_of_composed(kind, Ready.model_validate(ready) if ready else None, healthcheck, published, seeded)
    assert [check.probe for check in found] == probes


def test_a_program_that_only_keeps_the_container_running_need_not_open_its_port() -> None:
    assert checks_of_composed(PLAIN, None, None, published=True, seeded=False, idle=True) == (Check("tcp", {"patience": 1.0}),)
    assert checks_of_composed(PLAIN, None, {"test": "x"}, published=True, seeded=False, idle=True) == (Check("health"),)


@pytest.mark.parametrize(
    ("healthcheck", "seeded", "probes"),
    [(None, False, []), ({"test": "x"}, False, ["health"]), (None, True, ["command"]), ({"test": "x"}, True, ["health", "command"])],
)
def test_what_nobody_outside_reaches_is_not_asked_from_there(healthcheck: object, seeded: bool, probes: list[str]) -> None:
    found = checks_of_composed(SERVER, None, healthcheck, published=False, seeded=seeded, closed={"postgres": 5432})
    assert [check.probe for check in found] == probes


@pytest.mark.parametrize(
    "checks", [(), (Check("log", {"log": "x"}),), (Check("query", {"query": "x"}),), (Check("postgres"),), (Check("health"),)]
)
def test_what_no_program_of_an_image_can_check(checks: tuple[Check, ...]) -> None:
    assert healthcheck_of(checks, PORTS) == ()


def test_tcp_without_a_port_checks_nothing() -> None:
    assert healthcheck_of((Check("tcp"),), {}) == ()


@pytest.mark.parametrize("status", [401, [200, 401], [404]])
def test_an_answer_that_programs_take_for_a_failure_cannot_be_checked(status: object) -> None:
    assert healthcheck_of((Check("http", {"path": "/", "status": status}),), PORTS) == ()


def test_whoever_may_answer_anything_must_accept_connections() -> None:
    assert healthcheck_of((Check("http", {"path": "/", "status": "any"}),), PORTS) == healthcheck_of((Check("tcp"),), PORTS)


@pytest.mark.parametrize("status", [200, 301, [200, 204], None])
def test_an_answer_that_programs_take_for_success(status: object) -> None:
    assert healthcheck_of((Check("http", {"status": status}),), PORTS) == healthcheck_of((Check("http"),), PORTS)


def test_a_command_is_text_or_words() -> None:
    assert healthcheck_of((Check("command", {"command": "a | b"}),), {}) == ("CMD-SHELL", "{ a | b; }")
    assert healthcheck_of((Check("command", {"command": ["a", "b c"]}),), {}) == ("CMD-SHELL", "{ a 'b c'; }")


@pytest.mark.parametrize(("options", "port"), [({}, 80), ({"port": "admin"}, 81), ({"port": 9999}, 9999), ({"port": "unknown"}, 80)])
def test_the_port_that_is_checked(options: dict[str, Any], port: int) -> None:
    (_, shell) = healthcheck_of((Check("http", {"path": "/h", **options}),), PORTS)
    assert f"http://127.0.0.1:{port}/h" in shell
    (_, shell) = healthcheck_of((Check("tcp", options),), PORTS)
    assert f"127.0.0.1 {port}" in shell


# The commands, run on this machine


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/it's%20up?a=b&c=$d" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Answering) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found.server_port
        found.shutdown()
        thread.join()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Yield a port on which no program listens, and which no other program can take."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def passes(checks: tuple[Check, ...], port: int, programs: Path) -> bool:
    _, shell = healthcheck_of(checks, {"main": port})
    return subprocess.run(["/bin/sh", "-c", shell], env={"PATH": str(programs)}, capture_output=True, timeout=20).returncode == 0


def only(folder: Path, program: str) -> Path:
    """Return a folder for PATH that contains only *program*; skip the test if the program is not installed."""
    found = sys.executable if program == "python3" else shutil.which(program)
    if found is None:
        pytest.skip(f"there is no {program} here")
    (folder / program).write_text(f'#!/bin/sh\nexec {found} "$@"\n')
    (folder / program).chmod(0o755)
    return folder


@pytest.mark.parametrize("program", ["wget", "curl", "python3", "node"])
def test_http_is_checked_by_the_first_program_that_is_there(tmp_path: Path, program: str, server: int) -> None:
    programs = only(tmp_path, program)
    assert passes((Check("http", {"path": "/it's%20up?a=b&c=$d"}),), server, programs)
    assert not passes((Check("http", {"path": "/other"}),), server, programs)


@pytest.mark.parametrize("program", ["nc", "bash", "python3", "node"])
def test_tcp_is_checked_by_the_first_program_that_is_there(tmp_path: Path, program: str, server: int, closed_port: int) -> None:
    programs = only(tmp_path, program)
    assert passes((Check("tcp"),), server, programs)
    assert not passes((Check("tcp"),), closed_port, programs)


def test_an_image_without_programs_passes(tmp_path: Path, closed_port: int) -> None:
    assert passes((Check("http", {"path": "/"}), Check("tcp")), closed_port, tmp_path)


def test_every_check_must_pass(tmp_path: Path, server: int) -> None:
    programs = only(tmp_path, "python3")
    good, bad = Check("tcp"), Check("command", {"command": "false"})
    assert passes((good, Check("command", {"command": "true"})), server, programs)
    assert not passes((good, bad), server, programs)
    assert not passes((bad, good), server, programs)


def test_who_takes_longer_than_under_compose_is_told() -> None:
    asked, health = Check("mysql", {"patience": 45.0}), Check("health")
    db, mail = service("db", from_compose=True, slow=4.0, checks=(asked,)), service("mail", from_compose=True, checks=(asked,))
    checked, ours = service("checked", from_compose=True, slow=4.0, checks=(health, asked)), service("ours", slow=4.0, checks=(asked,))
    assert waited_for([db, mail, checked, ours]) == "db: the file has no health check: `up` waits until it answers, Compose would not"
    assert waited_for([db, service("bus", from_compose=True, slow=8.0, checks=(asked,))]).startswith("db, bus: ")
    assert waited_for([mail, checked, ours]) == ""
