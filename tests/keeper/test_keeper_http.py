from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys

import pytest

from tests.keeper.keepers import Keeper, until
from tests.keeper.keepers import stat as stat_of

BAD_TOKENS = ["", "Bearer", "Bearer ", "Bearer wrong", "Basic {token}", "{token}", "Bearer {token} ", "Bearer {token}x", "bearer {token}"]


def test_it_tells_about_itself(one: Keeper) -> None:
    status, shown = one.ask("GET", "/v1/keeper")
    assert status == 200
    assert 0 < shown.pop("memory_kb") < 30_000
    assert shown == {"id": "shop-0a1b2c", "pid": one.pid, "expires": None, "owned": False}


def test_the_address_is_published_for_its_owner_alone(one: Keeper) -> None:
    assert json.loads(one.address_file.read_text()) == {
        "port": one.port, "token": one.token, "tests_token": one.tests_token, "pid": one.pid, "start": stat_of(one.pid)[19],
        "private": True,
    }  # fmt: skip
    assert stat.S_IMODE(one.address_file.stat().st_mode) == 0o600
    assert [path.name for path in one.folder.iterdir() if "keeper.json" in path.name] == ["keeper.json"]


@pytest.mark.parametrize("given", [token for token in BAD_TOKENS if token != "Bearer {token} "])
def test_without_the_token_nothing_is_answered(one: Keeper, given: str) -> None:
    for path in ("/v1/keeper", "/v1/nothing"):
        assert one.ask("GET", path, Authorization=given.format(token=one.token))[0] == 401
    status, answer = one.ask("POST", "/v1/stop", {}, Authorization=given.format(token=one.token))
    assert (status, list(answer)) == (401, ["error"])
    assert one.ask("GET", "/v1/keeper")[0] == 200


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1", "localhost", "127.0.0.1:1", "evil.localhost:{port}", "[::1]:{port}"])
def test_another_host_is_refused(one: Keeper, host: str) -> None:
    assert one.ask("GET", "/v1/keeper", Host=host.format(port=one.port))[0] == 403


def test_both_names_of_the_host_are_taken(one: Keeper) -> None:
    assert [one.ask("GET", "/v1/keeper", Host=f"{name}:{one.port}")[0] for name in ("127.0.0.1", "localhost")] == [200, 200]


@pytest.mark.parametrize("body", [b"{", b"[]", b"nonsense", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(one: Keeper, body: bytes) -> None:
    assert one.ask("POST", "/v1/expires", body)[0] == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/expires", {}),
        ("/v1/expires", {"expires": 5}),
        ("/v1/expires", {"expires": "tomorrow"}),
        ("/v1/expires", {"expires": "2026-11-22T10:00:00"}),
        ("/v1/processes", {}),
        ("/v1/processes", {"name": "a/b", "argv": ["true"], "env": {}, "cwd": "/", "log": "/dev/null"}),
        ("/v1/processes", {"name": "a", "argv": [], "env": {}, "cwd": "/", "log": "/dev/null"}),
        ("/v1/processes", {"name": "a", "argv": "true", "env": {}, "cwd": "/", "log": "/dev/null"}),
        ("/v1/processes", {"name": "a", "argv": ["true"], "env": {"A": 1}, "cwd": "/", "log": "/dev/null"}),
        ("/v1/processes", {"name": "a", "argv": ["true"], "env": {}, "cwd": "/", "log": "/dev/null", "user": True}),
        ("/v1/processes", {"name": "a", "argv": ["true"], "env": {}, "cwd": "/", "log": "/dev/null", "stop_signal": "SIGNOTHING"}),
        ("/v1/processes", {"name": "a", "argv": ["true"], "env": {}, "cwd": "/", "log": "/dev/null", "limits": {"cpu": -1}}),
        ("/v1/relays", {"listen": ["127.0.0.1"], "to": ["127.0.0.1", 1]}),
        ("/v1/stop", {"grace": {"a": "long"}}),
    ],
)
def test_mistakes_are_answered_in_words(one: Keeper, path: str, body: object) -> None:
    status, answer = one.ask("POST", path, body)
    assert (status, list(answer)) == (400, ["error"])
    assert one.ask("GET", "/v1/processes") == (200, {})


def test_unknown_paths_and_methods(one: Keeper) -> None:
    paths = ["/", "/v1", "/v1/keeper/", "/v1/processes/", "/v1/processes/a/b", "/v2/keeper", "//v1/keeper"]
    assert [one.ask("GET", path)[0] for path in paths] == [404] * len(paths)
    assert one.ask("DELETE", "/v1/keeper")[0] == 405


def test_a_body_has_a_largest_size(one: Keeper) -> None:
    text = " " * (16 * 1024 * 1024 - len('{"expires":null}'))
    assert one.ask("POST", "/v1/expires", f'{{"expires":null{text}}}'.encode())[0] == 200
    assert one.ask("POST", "/v1/expires", f'{{"expires":null{text} }}'.encode())[0] == 413


def test_a_connection_is_used_again(one: Keeper) -> None:
    connection = one.connect()
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request("GET", "/v1/keeper", headers={"Authorization": f"Bearer {one.token}"})
        assert connection.getresponse().read()
    assert connection.sock is first
    connection.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /v1/keeper\r\n\r\n",
        b"GET " + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"a%d: b\r\n" % number for number in range(200)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ],
)
def test_what_is_no_http_ends_the_connection(one: Keeper, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", one.port), 10) as stream:
        stream.sendall(sent)
        received = b""
        while data := stream.recv(4096):
            received += data
    assert received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    assert one.ask("GET", "/v1/keeper")[0] == 200


def test_it_listens_on_the_loopback_alone(one: Keeper) -> None:
    with socket.socket() as stream:  # binding would fail if the keeper listened on all addresses
        stream.bind(("127.0.0.2", one.port))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_another_user_learns_nothing(one: Keeper) -> None:
    one.folder.parent.chmod(0o755)
    one.folder.chmod(0o755)  # only the mode of the address file protects it then
    program = f"""
import os, socket
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    open({str(one.address_file)!r}).read()
    print("read")
except PermissionError:
    print("no permission")
stream = socket.socket()
stream.connect(("127.0.0.1", {one.port}))
stream.sendall(b"GET /v1/keeper HTTP/1.1\\r\\nHost: 127.0.0.1:{one.port}\\r\\n\\r\\n")
print(stream.recv(12)[-3:].decode())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout.split("\n") == ["no permission", "401", ""], done.stderr


def test_it_is_small_and_idle(one: Keeper) -> None:
    from time import sleep

    from tests.keeper.keepers import cpu_ticks, memory_kb

    one.started("a", "sleep", "100")
    with one.exit_events():
        pids = [one.pid, one.supervisor()]
        assert all(memory_kb(pid) < 30_000 for pid in pids), [memory_kb(pid) for pid in pids]
        before = [cpu_ticks(pid) for pid in pids]
        sleep(1)
        assert all(now - then <= 1 for now, then in zip([cpu_ticks(pid) for pid in pids], before, strict=True))
    assert until(lambda: one.ask("GET", "/v1/keeper")[0] == 200)
