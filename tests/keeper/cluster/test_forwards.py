"""Tests of port forwards: a local port that leads to the pod which is currently behind a service."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from envctl.keeper.cluster import pod_watch
from envctl.keeper.cluster.forwards import Forwards
from envctl.keeper.helpers import Helpers
from tests.keeper.cluster.apiserver import ApiServer, api_server, pod
from tests.keeper.cluster.servers import Server
from tests.keeper.keepers import PROGRAM, alive, keeper, pid_in
from tests.processes import until

SELECTOR = "envctl.instance=one-123456,envctl.service=db"


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with api_server() as found:
        yield found


def echo(connection: socket.socket) -> None:
    while piece := connection.recv(65536):
        connection.sendall(piece)


@pytest.fixture
def serving() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    servers: list[Server] = []

    def serve(how: Callable[[socket.socket], None]) -> int:
        servers.append(Server(how))
        return servers[-1].port

    yield serve
    for server in servers:
        server.close()


@pytest.fixture
def forwards(tmp_path: Path) -> Iterator[Forwards]:
    found = Forwards("one-123456", str(tmp_path), Helpers(print))
    yield found
    found.close()


def wanted(port: int = 5432, **more: Any) -> list[dict[str, Any]]:
    return [{"name": "db/postgres", "selector": SELECTOR, "port": port, "listen": ["127.0.0.1", 0], **more}]


def told(api: ApiServer, **more: Any) -> dict[str, Any]:
    return {"server": api.url, "token": "secret", **more}


def made(forwards: Forwards, api: ApiServer, **more: Any) -> int:
    return forwards.set(told(api), "ns", wanted(**more))["db/postgres"].port


def state(forwards: Forwards) -> str:
    return str(forwards.shown()["db/postgres"]["state"])


def dialled(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 20)


def asked(port: int, words: bytes = b"hello") -> bytes:
    """Send *words* to the local port; return the answer, or nothing if the connection is refused."""
    with suppress(OSError), dialled(port) as connection:
        connection.sendall(words)
        return connection.recv(65536)
    return b""


def led(api: ApiServer, name: str, target: int, **more: Any) -> None:
    api.ports[name, 5432] = target
    api.put(pod(name, **more), "ADDED")


def test_it_leads_to_the_pod(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    led(api, "a", serving(echo))
    port = made(forwards, api)
    until(lambda: state(forwards) == "ready")
    assert asked(port) == b"hello"
    assert forwards.shown()["db/postgres"] == {"port": port, "pod": "a", "state": "ready", "error": ""}


def test_new_credentials_leave_the_other_forwards_and_their_connections(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    """A command that is about one service only may bring a renewed token, which also counts for the other forwards."""
    led(api, "a", serving(echo))
    port = made(forwards, api)
    until(lambda: state(forwards) == "ready")
    with dialled(port) as connection:
        api.token = "renewed"
        other = [{**wanted()[0], "name": "db/other"}]
        assert set(forwards.set(told(api, token="renewed"), "ns", other, whole=False)) == {"db/postgres", "db/other"}
        connection.sendall(b"still here")
        assert connection.recv(100) == b"still here"
    assert asked(port) == b"hello"


def test_without_a_pod_it_refuses_and_does_not_hang(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    port = made(forwards, api)
    assert asked(port) == b""
    assert state(forwards) == "waiting"
    led(api, "a", serving(echo), running=False)
    assert asked(port) == b""
    led(api, "a", serving(echo), ready=False)
    until(lambda: asked(port) == b"hello", what="a pod that runs is led to before it is ready: our own probe asks it")


def test_much_both_ways_arrives_unharmed(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    led(api, "a", serving(echo))
    port = made(forwards, api)
    until(lambda: state(forwards) == "ready")
    content = os.urandom(1 << 20) * 20
    found = hashlib.sha256()
    with dialled(port) as connection:
        sender = threading.Thread(target=connection.sendall, args=(content,))
        sender.start()
        left = len(content)
        while left and (piece := connection.recv(1 << 18)):
            found.update(piece)
            left -= len(piece)
        sender.join()
    assert found.digest() == hashlib.sha256(content).digest()


def test_a_slow_reader_holds_the_server_back(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    sent = [0]

    def pour(connection: socket.socket) -> None:
        for _ in range(200):
            connection.sendall(bytes(1 << 20))
            sent[0] += 1

    led(api, "a", serving(pour))
    port = made(forwards, api)
    until(lambda: state(forwards) == "ready")
    with dialled(port):
        before = -1
        while before != sent[0]:
            before = sent[0]
            threading.Event().wait(0.5)
        assert sent[0] < 100, "what nobody reads is not taken"


def test_many_at_once(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    led(api, "a", serving(echo))
    port = made(forwards, api)
    until(lambda: state(forwards) == "ready")
    connections = [dialled(port) for _ in range(100)]
    for number, connection in enumerate(connections):
        connection.sendall(b"%d" % number)
    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(lambda each: each.recv(100), connections)) == [b"%d" % number for number in range(100)]
    for connection in connections:
        connection.close()


def test_an_answer_after_the_clients_half_close_is_delivered(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(100)
        threading.Event().wait(1.5)
        connection.sendall(b"late")

    led(api, "a", serving(answer))
    port = made(forwards, api)
    until(lambda: state(forwards) == "ready")
    with dialled(port) as connection:
        connection.sendall(b"x")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b"late"
        assert connection.recv(100) == b"", "and the server's close is"


def patient(ended: threading.Event, greeting: bytes = b"") -> Callable[[socket.socket], None]:
    """Return a server that reads until its client closes the connection, and then sets *ended*."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(greeting)
        while connection.recv(100):
            pass
        ended.set()

    return serve


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a client that has closed from one that waits")
def test_a_client_that_has_closed_lets_go_of_the_server(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    ended = threading.Event()
    led(api, "a", serving(patient(ended, b"hello")))
    port = made(forwards, api)
    until(lambda: state(forwards) == "ready")
    with dialled(port) as connection:
        assert connection.recv(10) == b"hello", "else it may be gone before the server has heard of it"
    assert ended.wait(5), "before the server's silence tells"


def read_all(connection: socket.socket) -> None:
    while connection.recv(1 << 20):
        pass


def test_a_client_that_breaks_off_lets_go_of_the_server(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    ended = threading.Event()
    led(api, "a", serving(patient(ended, b"here")))
    port = made(forwards, api)
    until(lambda: state(forwards) == "ready")
    with dialled(port) as connection:
        assert connection.recv(10) == b"here"
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert ended.wait(20)


def test_a_client_that_does_not_read_keeps_nothing_of_a_pod_that_is_gone(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    sent = [0]

    def pour(connection: socket.socket) -> None:
        while True:
            connection.sendall(bytes(1 << 20))
            sent[0] += 1

    led(api, "a", serving(pour))
    port = made(forwards, api)
    until(lambda: state(forwards) == "ready")
    with dialled(port) as connection:
        until(lambda: sent[0])
        before = -1
        while before != sent[0]:
            before = sent[0]
            threading.Event().wait(0.5)
        api.remove("a")
        until(lambda: not forwards._forwards["db/postgres"]._connections, 20)
        with pytest.raises(ConnectionResetError):
            read_all(connection)


def test_an_answer_that_breaks_off_does_not_look_complete(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    def half(connection: socket.socket) -> None:
        connection.sendall(b"half")
        threading.Event().wait(5)

    led(api, "a", serving(half))
    port = made(forwards, api)
    until(lambda: state(forwards) == "ready")
    with dialled(port) as connection:
        assert connection.recv(100) == b"half"
        for forward in api.forwards:
            forward.close()
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


def test_a_replaced_pod_takes_over_under_the_same_port(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    led(api, "a", serving(echo))
    port = made(forwards, api)
    until(lambda: state(forwards) == "ready")
    with dialled(port) as old:
        old.sendall(b"x")
        assert old.recv(10) == b"x"
        api.remove("a")
        with pytest.raises(ConnectionResetError):
            old.recv(10)
    assert asked(port) == b""
    led(api, "b", serving(lambda connection: connection.sendall(b"from b")))
    until(lambda: asked(port) == b"from b")


def test_the_newest_that_is_ready_is_led_to(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    led(api, "old", serving(lambda connection: connection.sendall(b"old")))
    port = made(forwards, api)
    until(lambda: asked(port) == b"old")
    led(api, "new", serving(lambda connection: connection.sendall(b"new")), created="2026-02-01T00:00:00Z", ready=False)
    until(lambda: len(forwards.shown()) == 1)
    assert asked(port) == b"old"
    led(api, "new", api.ports["new", 5432], created="2026-02-01T00:00:00Z")
    until(lambda: asked(port) == b"new")


def test_a_port_that_nobody_listens_on_is_a_reset_and_says_why(api: ApiServer, forwards: Forwards) -> None:
    api.put(pod("a"), "ADDED")
    port = made(forwards, api)
    until(lambda: state(forwards) == "ready")
    with dialled(port) as connection, pytest.raises(ConnectionResetError):
        connection.recv(10)
    until(lambda: "connection refused in the pod" in forwards.shown()["db/postgres"]["error"])


def test_it_survives_a_hiccup_of_the_api_server(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    led(api, "a", serving(echo))
    port = made(forwards, api)
    until(lambda: state(forwards) == "ready")
    api.refusing = True
    api.break_watches()
    timer = threading.Timer(0.7, setattr, (api, "refusing", False))
    timer.start()
    assert asked(port) == b"hello", "a new connection waits for it"
    api.remove("a")
    led(api, "b", serving(lambda connection: connection.sendall(b"from b")))
    until(lambda: asked(port) == b"from b", what="the watch has begun again")


def test_a_watch_that_has_died_in_silence_is_doubted(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    led(api, "a", serving(echo))
    port = made(forwards, api)
    until(lambda: state(forwards) == "ready")
    api.ports["b", 5432] = serving(lambda connection: connection.sendall(b"from b"))
    api.pods = {"b": pod("b")}
    assert asked(port) == b"from b", "the pod that is known is not found, and so the pods are listed anew"


def test_a_watch_that_ends_at_once_is_not_begun_at_once(api: ApiServer, forwards: Forwards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_watch, "PAUSES", (60.0,))
    monkeypatch.setattr(api, "since", lambda version: iter([None]))
    made(forwards, api)
    until(lambda: api.asked == 2)
    threading.Event().wait(0.5)
    assert api.asked == 2, "a list and a watch"


def test_credentials_that_are_refused_are_said(api: ApiServer, forwards: Forwards) -> None:
    forwards.set({"server": api.url, "token": "wrong"}, "ns", wanted())
    until(lambda: "who are you" in forwards.shown()["db/postgres"]["error"])


PLUGIN = """
import json, os, pathlib, sys
asked = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
count = pathlib.Path(sys.argv[1])
count.write_text(count.read_text() + "x" if count.exists() else "x")
print(json.dumps({"apiVersion": asked["apiVersion"], "kind": "ExecCredential", "status": {"token": os.environ["MINE"]}}))
"""


def test_a_plugin_gives_the_credentials_and_is_asked_again_when_they_are_refused(
    api: ApiServer, forwards: Forwards, serving: Any, tmp_path: Path
) -> None:
    led(api, "a", serving(echo))
    (tmp_path / "plugin.py").write_text(PLUGIN)
    api.token = "later"
    plugin = {"command": [sys.executable, str(tmp_path / "plugin.py"), str(tmp_path / "count")], "env": {"MINE": "later"}}
    port = forwards.set({"server": api.url, "exec": plugin}, "ns", wanted())["db/postgres"].port
    until(lambda: asked(port) == b"hello")
    assert (tmp_path / "count").read_text() == "x", "what it gave is used again"
    api.token = "changed"
    assert asked(port) == b""
    assert len((tmp_path / "count").read_text()) > 1


def test_what_a_plugin_says_is_heard_though_the_keeper_reaps_orphans(api: ApiServer, tmp_path: Path) -> None:
    program = "import sys; sys.exit('log in first')"
    with keeper(tmp_path / "state", id="one-123456") as running:
        cluster = {"server": api.url, "exec": {"command": [sys.executable, "-c", program], "env": {}}}
        assert running.ask("PUT", "/v1/forwards", {"cluster": cluster, "namespace": "ns", "forwards": wanted()})[0] == 200
        until(lambda: running.ask("GET", "/v1/forwards")[1]["db/postgres"]["error"])
        assert "log in first" in running.ask("GET", "/v1/forwards")[1]["db/postgres"]["error"]


def test_a_later_set_leaves_what_is_the_same_and_closes_the_rest(api: ApiServer, forwards: Forwards, serving: Any) -> None:
    led(api, "a", serving(echo))
    port = made(forwards, api)
    until(lambda: asked(port) == b"hello")
    with dialled(port) as connection:
        connection.sendall(b"1")
        assert connection.recv(10) == b"1"
        other = {**wanted()[0], "name": "db/other"}
        again = forwards.set(told(api), "ns", [{**wanted()[0], "listen": ["127.0.0.1", port]}, other])
        assert again["db/postgres"].port == port
        connection.sendall(b"2")
        assert connection.recv(10) == b"2"
        forwards.set(told(api), "ns", [other])
        with pytest.raises(ConnectionResetError):
            connection.recv(10)
    with pytest.raises(ConnectionRefusedError):
        dialled(port)


def test_a_taken_port_is_an_error(api: ApiServer, forwards: Forwards) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder, pytest.raises(OSError, match="in use"):
        made(forwards, api, listen=["127.0.0.1", holder.getsockname()[1]])


def test_a_later_keeper_takes_them_up(api: ApiServer, forwards: Forwards, serving: Any, tmp_path: Path) -> None:
    led(api, "a", serving(echo))
    port = made(forwards, api)
    assert (tmp_path / "forwards.json").stat().st_mode & 0o777 == 0o600
    forwards.close()
    later = Forwards("one-123456", str(tmp_path), Helpers(print))
    try:
        later.take_up()
        until(lambda: asked(port) == b"hello")
    finally:
        later.close()


def test_those_whose_ports_are_free_are_taken_up(api: ApiServer, forwards: Forwards, tmp_path: Path) -> None:
    said: list[str] = []
    made_ = forwards.set(told(api), "ns", [*wanted(), {**wanted()[0], "name": "db/other"}])
    taken, free = made_["db/postgres"].port, made_["db/other"].port
    forwards.close()
    later = Forwards("one-123456", str(tmp_path), Helpers(said.append))
    try:
        with socket.create_server(("127.0.0.1", taken)):
            later.take_up()
        assert {name: shown["port"] for name, shown in later.shown().items()} == {"db/other": free}
        assert any("db/postgres" in words and "in use" in words for words in said)
    finally:
        later.close()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"cluster": {}}'])
def test_a_file_of_another_version_is_left_alone(forwards: Forwards, tmp_path: Path, content: str) -> None:
    (tmp_path / "forwards.json").write_text(content)
    forwards.take_up()
    assert forwards.shown() == {}
    assert (tmp_path / "forwards.json").read_text() == content


def test_a_keeper_that_can_be_asked_has_taken_them_up(api: ApiServer, tmp_path: Path) -> None:
    """Otherwise a command that requests the same ports would find them taken by the keeper itself."""
    with keeper(tmp_path / "state", id="one-123456") as running:
        body = {"cluster": told(api), "namespace": "ns", "forwards": wanted()}
        port = running.ask("PUT", "/v1/forwards", body)[1]["forwards"]["db/postgres"]["port"]
        running.kill()
        running.address_file.unlink()
        running.process = subprocess.Popen([sys.executable, "-I", "-S", PROGRAM, str(running.folder / "keeper-config.json")])
        until(running.address_file.exists)
        running._port = 0
        assert running.ask("GET", "/v1/forwards")[1]["db/postgres"]["port"] == port
        again = {**body, "forwards": wanted(listen=["127.0.0.1", port])}
        assert running.ask("PUT", "/v1/forwards", again) == (200, {"forwards": {"db/postgres": {"port": port}}})


@pytest.mark.skipif(sys.platform != "linux", reason="maps of a process")
def test_a_keeper_without_forwards_does_not_load_tls_to_say_so(tmp_path: Path) -> None:
    with keeper(tmp_path / "state") as running:
        assert running.ask("GET", "/v1/forwards") == (200, {})
        assert "_ssl" not in Path(f"/proc/{running.pid}/maps").read_text()


def test_an_endpoint_of_another_machine_waits_for_the_pod_to_say_that_it_has_its_data(
    api: ApiServer, forwards: Forwards, serving: Any
) -> None:
    led(api, "a", serving(echo))
    gated = pod("a")
    gated["spec"]["readinessGates"] = [{"conditionType": "envctl/seeded"}]
    api.put(gated)
    port = made(forwards, api, gated=True)
    until(lambda: state(forwards) == "refused")
    assert asked(port) == b""
    api.put({**gated, "status": {**gated["status"], "conditions": [{"type": "envctl/seeded", "status": "True"}]}})
    until(lambda: state(forwards) == "ready")
    assert asked(port) == b"hello"


def test_an_endpoint_that_needs_an_approval_waits_for_its_pods_data(api: ApiServer, serving: Any, tmp_path: Path) -> None:
    """A replaced pod is seeded again exactly once before its forward accepts connections."""
    reseed = [
        sys.executable,
        "-c",
        "import os, sys; open(sys.argv[1], 'a').write(os.environ['WORD'] + sys.argv[2] + ';')",
        str(tmp_path / "ran"),
    ]
    forwards = Forwards("one-123456", str(tmp_path), Helpers(print), reseed, {"WORD": "again:"})
    try:
        led(api, "a", serving(echo))
        port = made(forwards, api, needs_approval=True)
        until(lambda: state(forwards) == "refused")
        assert asked(port) == b""
        assert not (tmp_path / "ran").exists(), "at first whoever brings it up seeds it"
        assert forwards.approve("db/postgres", "uid-a")
        assert asked(port) == b"hello"
        api.remove("a")
        led(api, "b", serving(lambda connection: connection.sendall(b"from b")))
        until(lambda: (tmp_path / "ran").exists() and (tmp_path / "ran").read_text() == "again:db;")
        assert asked(port) == b""
        api.put(pod("b"))
        forwards.approve("db/postgres", "uid-b")
        assert asked(port) == b"from b"
        assert (tmp_path / "ran").read_text() == "again:db;"
        assert not forwards.approve("db/none", "uid-b")
    finally:
        forwards.close()


def test_a_pod_whose_data_another_machine_has_made_is_led_to(api: ApiServer, serving: Any, tmp_path: Path) -> None:
    reseed = [sys.executable, "-c", "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + ';'); sys.exit(1)", str(tmp_path / "ran")]
    forwards = Forwards("one-123456", str(tmp_path), Helpers(print), reseed)
    try:
        led(api, "a", serving(echo))
        port = made(forwards, api, needs_approval=True)
        forwards.approve("db/postgres", "uid-a")
        api.remove("a")
        led(api, "b", serving(echo))
        until(lambda: "ended with 1" in forwards.shown()["db/postgres"]["error"])
        assert asked(port) == b""
        seeded = pod("b")
        seeded["status"]["conditions"] = [*seeded["status"].get("conditions", []), {"type": "envctl/seeded", "status": "True"}]
        api.put(seeded)
        until(lambda: state(forwards) == "ready")
        assert asked(port) == b"hello"
        assert forwards.shown()["db/postgres"]["error"] == ""
    finally:
        forwards.close()


@pytest.mark.parametrize("approved", ["none", "uid-a first"])
def test_a_pod_says_nothing_of_data_that_is_incomplete_or_goes_with_its_container(
    api: ApiServer, serving: Any, tmp_path: Path, approved: str
) -> None:
    reseed = [sys.executable, "-c", "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + ';')", str(tmp_path / "ran")]
    forwards = Forwards("one-123456", str(tmp_path), Helpers(print), reseed)
    try:
        led(api, "a", serving(echo))
        seeded = pod("a")
        seeded["status"]["conditions"] = [*seeded["status"].get("conditions", []), {"type": "envctl/seeded", "status": "True"}]
        api.put(seeded)
        port = made(forwards, api, needs_approval=True)
        forwards.approve("db/postgres", approved)
        until(lambda: (tmp_path / "ran").exists() and (tmp_path / "ran").read_text() == "db;")
        assert asked(port) == b""
    finally:
        forwards.close()


def test_a_container_that_was_replaced_is_led_to_where_its_data_is_the_pods(api: ApiServer, serving: Any, tmp_path: Path) -> None:
    def replaced(container: str) -> None:
        told = pod("a")
        told["status"]["containerStatuses"][0]["containerID"] = container
        api.put(told)

    reseed = [sys.executable, "-c", "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + ';')", str(tmp_path / "ran")]
    forwards = Forwards("one-123456", str(tmp_path), Helpers(print), reseed)
    try:
        led(api, "a", serving(echo))
        replaced("first")
        port = made(forwards, api, needs_approval=True)
        forwards.approve("db/postgres", "uid-a first")
        until(lambda: asked(port) == b"hello")
        replaced("second")
        until(lambda: (tmp_path / "ran").exists() and (tmp_path / "ran").read_text() == "db;")
        assert asked(port) == b""
        forwards.approve("db/postgres", "uid-a second")
        assert asked(port) == b"hello"
        forwards.approve("db/postgres", "uid-a")
        replaced("third")
        until(lambda: "uid-a third" in forwards._forwards["db/postgres"].best().data_ids)  # type: ignore[union-attr]
        assert asked(port) == b"hello"
        assert (tmp_path / "ran").read_text() == "db;"
    finally:
        forwards.close()


def test_a_seeding_that_fails_is_said(api: ApiServer, serving: Any, tmp_path: Path) -> None:
    forwards = Forwards("one-123456", str(tmp_path), Helpers(print), [sys.executable, "-c", "raise SystemExit(3)"])
    try:
        led(api, "a", serving(echo))
        made(forwards, api, needs_approval=True, approved="uid-before")
        until(lambda: "ended with 3" in forwards.shown()["db/postgres"]["error"])
    finally:
        forwards.close()


@pytest.mark.parametrize("way", ["request", "signal"])
def test_a_seeding_that_still_runs_ends_with_the_keeper(api: ApiServer, tmp_path: Path, way: str) -> None:
    program = "import os, sys, time; print(os.getpid(), file=open(sys.argv[1], 'w')); time.sleep(1000)"
    reseed = [sys.executable, "-c", program, str(tmp_path / "pid")]
    with keeper(tmp_path / "state", id="one-123456", reseed=reseed) as running:
        api.put(pod("a"), "ADDED")
        forwards = wanted(needs_approval=True, approved="uid-before")
        port = running.ask("PUT", "/v1/forwards", {"cluster": told(api), "namespace": "ns", "forwards": forwards})[1]["forwards"]
        pid = pid_in(tmp_path / "pid")
        if way == "request":
            assert running.ask("POST", "/v1/stop", {}) == (200, {})
            assert not alive(pid)
            with pytest.raises(ConnectionRefusedError):
                dialled(port["db/postgres"]["port"])
        else:
            running.process.terminate()
        assert running.process.wait(20) == 0
        assert not alive(pid)


def test_what_is_kept_is_what_was_set(api: ApiServer, forwards: Forwards, tmp_path: Path) -> None:
    port = made(forwards, api, needs_approval=True)
    forwards.approve("db/postgres", "u")
    kept = json.loads((tmp_path / "forwards.json").read_text())
    assert kept["namespace"] == "ns"
    assert kept["forwards"] == [
        {"name": "db/postgres", "selector": SELECTOR, "port": 5432, "listen": ["127.0.0.1", port], "needs_approval": True, "approved": "u"}
    ]


def test_a_keeper_forgets_what_another_machine_has_removed(api: ApiServer, tmp_path: Path) -> None:
    said = tmp_path / "said"
    teardown = [sys.executable, "-c", "import os, sys; open(sys.argv[1], 'w').write(os.environ['HOW'])", str(said)]
    settings = {"teardown": teardown, "teardown_env": {"HOW": "tear down"}, "forget_env": {"HOW": "forget"}}
    with keeper(tmp_path / "state", id="one-123456", **settings) as running:
        api.put(pod("a"), "ADDED")
        body = {"cluster": told(api), "namespace": "ns", "forwards": wanted()}
        assert running.ask("PUT", "/v1/forwards", body)[0] == 200
        until(lambda: running.ask("GET", "/v1/forwards")[1]["db/postgres"]["state"] == "ready" and api.looked)
        with (tmp_path / "state" / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            looked, api.record = api.looked, None
            api.remove("a")
            until(lambda: api.looked > looked)
            assert running.ask("POST", "/v1/expires", {"expires": None})[0] == 200, "a command works on it, and knows better"
        running.ask("POST", "/v1/expires", {"expires": None})  # the command makes this request when it is done
        until(lambda: not alive(running.pid))
    assert said.read_text() == "forget"
