"""Ports that envctl holds until their servers listen, and the choice of another port when another program takes one first."""

from __future__ import annotations

import json
import socket
import sys
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing

import pytest

from envctl.engines import free_ports
from envctl.engines.free_ports import PORTS, HeldPorts, allocate_ports
from envctl.errors import EnvctlError
from envctl.plan.model import PortKey
from tests.processes import held_port, nothing_is_left
from tests.support import Project

KEYS = [("db", "main"), ("mail", "smtp"), ("mail", "web")]
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no port is held")


@pytest.fixture
def held() -> Iterator[HeldPorts]:
    """Yield the ports that one command holds, and release them afterwards."""
    found = HeldPorts()
    yield found
    found.let_go()


@pytest.fixture
def others() -> Iterator[HeldPorts]:
    """Yield the ports that a second command holds, and release them afterwards."""
    found = HeldPorts()
    yield found
    found.let_go()


def hold_ports(wanted: Mapping[PortKey, int], taken: Iterable[int], held: HeldPorts) -> dict[PortKey, int]:
    return allocate_ports(wanted, {}, taken, held.hold)


def listens(port: int, reuse: bool) -> bool:
    """Return whether a server can listen on *port*; *reuse* says whether the server sets SO_REUSEADDR."""
    with closing(socket.socket()) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        try:
            server.bind(("127.0.0.1", port))
            server.listen()
        except OSError:
            return False
        return True


@pytest.fixture
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every command try the same ports in the same order."""
    monkeypatch.setattr(free_ports, "randrange", lambda count: 0)


# Choosing ports


def test_each_has_one_of_its_own(held: HeldPorts) -> None:
    found = hold_ports(dict.fromkeys(KEYS, 1), [], held)
    assert list(found) == KEYS
    assert len(set(found.values())) == 3
    assert all(port in PORTS for port in found.values())


@pytest.mark.usefixtures("in_order")
def test_none_that_is_taken(held: HeldPorts, others: HeldPorts) -> None:
    first = hold_ports({KEYS[0]: 1}, [], held)[KEYS[0]]
    held.let_go()
    assert hold_ports({KEYS[1]: 1}, [first], others)[KEYS[1]] > first


@pytest.mark.usefixtures("in_order")
def test_replicas_have_a_row(held: HeldPorts, others: HeldPorts) -> None:
    first = hold_ports({KEYS[0]: 1}, [], others)[KEYS[0]]
    row = hold_ports({KEYS[0]: 3}, [first + 2], held)[KEYS[0]]
    assert row > first + 2
    assert [each.getsockname()[1] for each in held.sockets[KEYS[0]]] == [row, row + 1, row + 2]


def test_a_row_ends_with_the_last_port(held: HeldPorts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_ports, "PORTS", range(20000, 20002))
    with pytest.raises(EnvctlError, match="no free port between 20000 and 20002"):
        hold_ports({KEYS[0]: 3}, [], held)


def test_somebody_listens_there(held: HeldPorts, monkeypatch: pytest.MonkeyPatch) -> None:
    with held_port() as port:
        monkeypatch.setattr(free_ports, "PORTS", range(port, port + 1))
        with pytest.raises(EnvctlError, match="no free port") as caught:
            hold_ports({KEYS[0]: 1}, [], held)
    assert "envctl list --all" in caught.value.hint


# HeldPorts


@linux
@pytest.mark.usefixtures("in_order")
def test_nobody_is_given_one_that_is_held(held: HeldPorts, others: HeldPorts) -> None:
    ours = set(hold_ports(dict.fromkeys(KEYS, 1), [], held).values())
    theirs = set(hold_ports(dict.fromkeys(KEYS, 1), [], others).values())
    assert not ours & theirs


@linux
def test_a_server_listens_on_one_that_is_held(held: HeldPorts) -> None:
    port = hold_ports({KEYS[0]: 1}, [], held)[KEYS[0]]
    assert [listens(port, reuse=True), listens(port, reuse=False)] == [True, False]


@linux
def test_one_that_is_asked_for_again_is_not_held(held: HeldPorts) -> None:
    hold_ports(dict.fromkeys(KEYS, 1), [], held)
    port = hold_ports({KEYS[0]: 1}, [], held)[KEYS[0]]
    assert listens(port, reuse=False)
    assert all(each.fileno() != -1 for each in held.sockets[KEYS[1]]), "the others are"


def test_elsewhere_than_on_linux_none_is(held: HeldPorts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert listens(hold_ports({KEYS[0]: 1}, [], held)[KEYS[0]], reuse=False)


# Servers that cannot share a held port

SERVER = """
import http.server, socketserver, sys
class Server(socketserver.TCPServer):
    allow_reuse_address = False
Server((sys.argv[1], int(sys.argv[2])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
CLASH = """
services:
  site: {kind: api, run: "python3 server.py ${self.bind} ${self.port}", port: 8000}
  twin: {kind: api, run: "python3 server.py ${self.bind} ${self.port}", port: 8000, needs: [site]}
outputs: {SITE: "${site.url}", TWIN: "${twin.url}"}
"""


@pytest.fixture
def clash(project: Project) -> Iterator[Project]:
    project.environment("env", CLASH)
    project.write("environments/server.py", SERVER)
    local = Project(project.folder, "local")
    yield local
    local.down()


def test_a_server_that_cannot_share_its_port_gets_another_one(clash: Project) -> None:
    """The server does not set SO_REUSEADDR, so it cannot listen on a port that envctl holds."""
    done = clash.envctl("up", "env", "--json").ok()
    outputs = done.json["outputs"]
    assert outputs["SITE"] != outputs["TWIN"]
    for url in outputs.values():
        with urllib.request.urlopen(f"{url}/server.py", timeout=10) as answer:
            assert answer.read().decode() == SERVER
    again = clash.envctl("up", "env", "--json").ok()
    assert again.json["outputs"] == outputs
    clash.envctl("down", "env").ok()
    nothing_is_left(clash)


def test_a_port_that_was_asked_for_is_not_changed(clash: Project) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(held_port())
        done = clash.envctl("up", "env", "--port", f"site={port}", "--json")
    assert done.status == 1
    assert "site: its port is taken" in done.err
    assert "choose another one with --port" in done.err
    assert json.loads(done.out)["state"] == "failed"
    nothing_is_left(clash)


def test_a_port_that_the_definition_gives_is_not_changed(clash: Project) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(held_port())
        clash.environment("env", CLASH.replace('${self.port}", port: 8000}', f'${{self.port}}", port: 8000, publish: {port}}}', 1))
        done = clash.envctl("up", "env")
    assert done.status == 1
    assert "site: its port is taken" in done.err
    assert "choose another number for its `publish:`, or remove it" in done.err
    assert done.err.count("site  failed") <= 1, "another attempt would be the same"
