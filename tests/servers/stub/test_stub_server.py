"""Tests of the stub as a server: connections, concurrency, the log, and its shutdown."""

from __future__ import annotations

import ast
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import envctl.servers.stub
from envctl.servers.http.message import Request
from envctl.servers.http.server import converse
from envctl.servers.stub.journal import Journal
from envctl.servers.stub.mappings import Store
from envctl.servers.stub.stub import Stub

if TYPE_CHECKING:
    from tests.servers.stub.conftest import RunningStub, Start

STUB = Path(envctl.servers.stub.__file__).parent
HTTP = STUB.parent / "http"
PYTHON = "python:3.13-slim"
AWAIT_HEALTH = """
import time, urllib.request
for _ in range(600):
    try:
        urllib.request.urlopen("http://127.0.0.1:8080/__admin/health")
        break
    except OSError:
        time.sleep(0.05)
else:
    raise SystemExit(1)
"""


def connect(stub: RunningStub) -> socket.socket:
    return socket.create_connection(("127.0.0.1", stub.port), timeout=60)


def read_reply(stream: socket.socket) -> bytes:
    response = http.client.HTTPResponse(stream)
    response.begin()
    return response.read()


def test_a_connection_serves_many_requests(stub: RunningStub) -> None:
    stub.add({"request": {"url": "/a"}, "response": {"body": "hello"}})
    with connect(stub) as connection:
        for _ in range(3):
            connection.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_reply(connection) == b"hello"


def test_requests_may_be_sent_ahead(stub: RunningStub) -> None:
    stub.add({"response": {"body": "x"}})
    with connect(stub) as connection:
        connection.sendall(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nConnection: close\r\n\r\n")
        content = b"".join(iter(lambda: connection.recv(65536), b""))

    assert content.count(b"HTTP/1.1 200 OK\r\n") == 2


def test_bodies_may_be_large(stub: RunningStub) -> None:
    large = "0123456789" * 500_000
    stub.add(
        {
            "request": {"method": "POST", "bodyPatterns": [{"equalToJson": {"x": large}}]},
            "response": {"jsonBody": {"y": large}},
        }
    )

    reply = stub.call("POST", "/", json.dumps({"x": large}))

    assert (reply.status, reply.json) == (200, {"y": large})
    assert reply.headers["Content-Length"] == str(len(reply.body))


def test_a_body_may_be_chunked(stub: RunningStub) -> None:
    stub.add({"request": {"method": "POST", "bodyPatterns": [{"equalTo": "one two"}]}})
    connection = http.client.HTTPConnection("127.0.0.1", stub.port, timeout=60)

    connection.request("POST", "/", iter([b"one", b" ", b"two"]), encode_chunked=True)

    assert connection.getresponse().status == 200
    connection.close()


def test_a_client_that_waits_for_the_go_ahead_gets_it(stub: RunningStub) -> None:
    stub.add({"request": {"bodyPatterns": [{"equalTo": "body"}]}, "response": {"body": "thanks"}})
    with connect(stub) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"body")
        assert read_reply(connection) == b"thanks"


def test_head_announces_the_length_only(stub: RunningStub) -> None:
    stub.add({"response": {"body": "hello"}})
    with connect(stub) as connection:
        connection.sendall(b"HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n")
        content = b"".join(iter(lambda: connection.recv(65536), b""))

    assert b"Content-Length: 5\r\n" in content
    assert content.endswith(b"\r\n\r\n")


def test_a_mapping_can_close_the_connection(stub: RunningStub) -> None:
    stub.add({"response": {"headers": {"Connection": "close"}, "body": "bye"}})
    with connect(stub) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        content = b"".join(iter(lambda: connection.recv(65536), b""))

    assert content.lower().count(b"connection: close\r\n") == 1


def test_a_hundred_clients_are_served_while_all_stay_connected(stub: RunningStub) -> None:
    stub.add({"response": {"body": "hello"}})
    connections = [connect(stub) for _ in range(100)]
    try:
        for connection in connections:
            connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n")
        for connection in reversed(connections):
            connection.sendall(b"x")
            assert read_reply(connection) == b"hello"
    finally:
        for connection in connections:
            connection.close()


def test_the_log_and_the_journal_are_complete_after_concurrent_requests(start_stub: Start) -> None:
    stub = start_stub()
    stub.add({"name": "any"})

    def ask(number: int) -> None:
        for turn in range(20):
            assert stub.get(f"/{number}/{turn}").status == 200

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    expected = sorted(f"GET /{number}/{turn} -> 200 (any)" for number in range(8) for turn in range(20))
    assert sorted(line for line in stub.log() if line.endswith("(any)")) == expected
    assert stub.call("POST", "/__admin/requests/count", "{}").json == {"count": 160}


def test_bad_bytes_get_an_answer_and_harm_nobody(stub: RunningStub) -> None:
    with connect(stub) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 Bad Request\r\n")

    assert stub.get("/__admin/health").status == 200


def test_a_request_that_fails_is_answered_and_keeps_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(request: Request) -> None:
        if request.url == "/bad":
            raise RuntimeError("no idea")

    stub = Stub(Store([]), Journal())
    monkeypatch.setattr(stub.store, "find", find)
    ours, theirs = socket.socketpair()
    with ours:
        threading.Thread(target=converse, args=(theirs, "", stub), daemon=True).start()
        ours.sendall(b"GET /bad HTTP/1.1\r\n\r\n")
        assert read_reply(ours) == b"The stub failed on this request: RuntimeError: no idea\n"
        ours.sendall(b"GET /good HTTP/1.1\r\n\r\n")
        assert b"Request was not matched" in read_reply(ours)


def test_a_body_that_is_nested_too_deeply_matches_nothing(stub: RunningStub) -> None:
    deep = '{"a":' * 50_000 + "1" + "}" * 50_000
    stub.add({"request": {"bodyPatterns": [{"matchesJsonPath": "$..b"}]}})
    with connect(stub) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nContent-Length: {len(deep)}\r\n\r\n{deep}".encode())
        assert b"Request was not matched" in read_reply(connection)
        connection.sendall(b"GET /__admin/health HTTP/1.1\r\n\r\n")
        assert json.loads(read_reply(connection)) == {"status": "healthy"}


def test_the_log_has_a_line_for_each_request(start_stub: Start, tmp_path: Path) -> None:
    routes = tmp_path / "a.json"
    routes.write_text('[{"name": "greeting", "request": {"url": "/hello?x=1"}}, {"request": {"url": "/b"}}]')
    stub = start_stub("--routes", routes)

    for url in ("/hello?x=1", "/b", "/none", "/__admin/health", "/__admin/mappings"):
        stub.get(url)
    with connect(stub) as connection:
        connection.sendall(b"GET /\x1b[31m HTTP/1.1\r\n\r\n")
        read_reply(connection)

    assert stub.log() == [
        f"listening on 127.0.0.1:{stub.port} (2 mappings)",
        "GET /hello?x=1 -> 200 (greeting)",
        f"GET /b -> 200 ({routes}: mapping 2)",
        "GET /none -> 404 (no mapping matches)",
        "GET /__admin/mappings -> 200 (admin)",
        "GET /?[31m -> 404 (no mapping matches)",
    ]


def test_an_unmatched_request_is_told_the_closest_mapping(stub: RunningStub) -> None:
    stub.add(
        {"name": "list", "request": {"method": "GET", "url": "/orders"}},
        {
            "name": "pay",
            "request": {
                "method": "POST",
                "urlPath": "/payments",
                "headers": {"X-Key": {"equalTo": "k"}},
                "bodyPatterns": [{"equalToJson": {"amount": 1}}],
            },
        },
        {"name": "refund", "request": {"method": "POST", "urlPath": "/refunds"}},
    )

    reply = stub.call("POST", "/payments?x=1", '{"amount": 2}')

    assert reply.status == 404
    assert reply.text.splitlines() == [
        "Request was not matched: POST /payments?x=1",
        "",
        "Closest mapping: pay",
        "  matches  method: equalTo POST",
        "  matches  urlPath: equalTo /payments",
        "  DIFFERS  headers.X-Key: expected equalTo k, got nothing",
        '  DIFFERS  body: expected equalToJson {"amount":1}, got {"amount": 2}',
    ]
    assert "Closest mapping: list" in stub.get("/orderss").text


def test_without_mappings_the_answer_says_so(stub: RunningStub) -> None:
    assert "There are no mappings in this stub." in stub.get("/a").text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_even_with_an_answer_pending(start_stub: Start, number: int) -> None:
    stub = start_stub()
    stub.add({"request": {"url": "/slow"}, "response": {"fixedDelayMilliseconds": 3_600_000}})
    with connect(stub) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\n\r\n")
        assert stub.get("/other").status == 404

        os.kill(stub.process.pid, number)

        assert stub.process.wait(timeout=60) == 0
        assert connection.recv(100) == b""


def test_a_taken_port_is_reported(stub: RunningStub) -> None:
    command = [sys.executable, str(STUB), "--host", "127.0.0.1", "--port", str(stub.port)]

    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"cannot listen on 127.0.0.1:{stub.port}: ")
    assert len(ended.stderr.splitlines()) == 1


def test_the_files_alone_are_enough_in_one_folder_of_any_name(start_stub: Start, tmp_path: Path) -> None:
    for source in (STUB, HTTP):
        copied = shutil.copytree(source, tmp_path / "any name-1", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)

    assert start_stub(program=copied).get("/__admin/health").json == {"status": "healthy"}


def test_no_file_of_one_folder_hides_one_of_the_other() -> None:
    names = [{path.name for path in folder.glob("*.py")} for folder in (STUB, HTTP)]

    assert names[0] & names[1] == {"__init__.py"}


@pytest.mark.parametrize("file", sorted([*STUB.glob("*.py"), *HTTP.glob("*.py")]), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_needs_python_3_9_and_its_library_only(file: Path) -> None:
    tree = ast.parse(file.read_text(), feature_version=(3, 9))
    absolute = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    names = {node.module or "" for node in absolute}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}

    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.docker
def test_ends_at_once_as_the_first_process_of_a_container() -> None:
    if not shutil.which("docker") or _docker("image", "inspect", PYTHON).returncode:
        pytest.skip(f"no Docker daemon with {PYTHON} here")
    container = _docker("create", PYTHON, "python3", "/opt/stub", "--port", "8080").stdout.strip()
    try:
        for folder in (STUB, HTTP):
            assert _docker("cp", f"{folder}/.", f"{container}:/opt/stub").returncode == 0
        _docker("start", container)
        assert _docker("exec", container, "python3", "-c", AWAIT_HEALTH).returncode == 0
        _docker("stop", "--time", "60", container)
        assert _docker("inspect", "--format", "{{.State.ExitCode}}", container).stdout.strip() == "0"
    finally:
        _docker("rm", "--force", "--volumes", container)


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
