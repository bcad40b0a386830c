"""Tests of kept connections to a keeper: how many exist, and what happens when the keeper closes them."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from envctl.keeper.system import start_time
from envctl.keeper_client.client import KeeperGone
from envctl.keeper_client.kept import KeptKeeper


class Keeper(http.server.ThreadingHTTPServer):
    """A fake keeper that answers with the number of the connection that the request came over."""

    daemon_threads = True

    def __init__(self, folder: Path, token: str = "t") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.token = token
        self.connections: list[socket.socket] = []
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()
        told = {"port": self.server_address[1], "token": token, "pid": os.getpid(), "start": start_time(os.getpid())}
        (folder / "keeper.json").write_text(json.dumps(told))

    def drop(self) -> None:
        """Close all connections."""
        for each in self.connections:
            with suppress(OSError):  # the connection is already closed
                each.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        self.drop()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Keeper

    def setup(self) -> None:
        super().setup()
        self.server.connections.append(self.connection)
        self.number = len(self.server.connections)

    def do_POST(self) -> None:
        self.server.asked.append(self.path)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/ends":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        known = self.headers["Authorization"] == f"Bearer {self.server.token}"
        body = json.dumps({"connection": self.number}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/last":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *words: object) -> None: ...


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "instance"
    found.mkdir(mode=0o700)
    return found


@pytest.fixture
def keeper(folder: Path) -> Iterator[Keeper]:
    found = Keeper(folder)
    yield found
    found.end()


@pytest.fixture
def kept(folder: Path, keeper: Keeper) -> Iterator[KeptKeeper]:
    with closing(KeptKeeper(folder)) as found:
        yield found


def test_requests_one_after_the_other_share_a_connection(kept: KeptKeeper, keeper: Keeper) -> None:
    assert [kept.ask("POST", "/v1/leases", {"service": "db"}) for _ in range(3)] == [(200, {"connection": 1})] * 3
    assert keeper.asked.count("/v1/leases") == 3


@pytest.mark.parametrize("path", ["/v1/leases", "/last"])
def test_another_one_is_opened_where_it_was_closed(kept: KeptKeeper, keeper: Keeper, path: str) -> None:
    kept.ask("POST", path)
    keeper.drop()
    assert kept.ask("POST", "/v1/leases") == (200, {"connection": 2})
    kept.close()
    assert kept.ask("POST", "/v1/leases") == (200, {"connection": 3})


def test_a_request_that_was_not_answered_is_not_sent_again(kept: KeptKeeper, keeper: Keeper) -> None:
    kept.ask("GET", "/v1/leases")
    with pytest.raises(KeeperGone):
        kept.ask("POST", "/ends")
    assert keeper.asked.count("/ends") == 1
    assert kept.ask("GET", "/v1/leases")[0] == 200


@pytest.mark.parametrize("path", ["/v1/leases", "/last"])
def test_the_keeper_that_runs_now_is_asked(kept: KeptKeeper, keeper: Keeper, folder: Path, path: str) -> None:
    kept.ask("GET", path)
    later = Keeper(folder, "another")
    keeper.end()
    try:
        assert kept.ask("GET", "/v1/leases") == (200, {"connection": 1})
        assert "/v1/leases" in later.asked
    finally:
        later.end()


def test_no_keeper_is_said(kept: KeptKeeper, folder: Path) -> None:
    (folder / "keeper.json").unlink()
    with pytest.raises(KeeperGone, match="no longer has a keeper"):
        kept.ask("GET", "/v1/leases")


def test_threads_do_not_share_one(kept: KeptKeeper, keeper: Keeper) -> None:
    together = threading.Barrier(4)

    def asks(_: int) -> int:
        together.wait()
        return sum(kept.ask("POST", "/v1/leases")[0] for _ in range(5))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(asks, range(4))) == [1000] * 4
    assert len(keeper.connections) <= 4


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_its_own(kept: KeptKeeper, keeper: Keeper) -> None:
    assert kept.ask("GET", "/v1/leases")[1] == {"connection": 1}
    child = os.fork()
    if not child:
        right = False
        try:
            right = kept.ask("GET", "/v1/leases") == (200, {"connection": 2})
        finally:
            os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert kept.ask("GET", "/v1/leases")[1] == {"connection": 1}
