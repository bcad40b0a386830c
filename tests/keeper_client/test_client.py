"""Tests of the client of one keeper: finding its address, and its answers."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from envctl.instance.record import Record
from envctl.keeper.system import start_time
from envctl.keeper_client import client
from envctl.keeper_client.client import KeeperClient, KeeperGone, KeeperSilent
from envctl.session import Session
from tests.keeper_client.support import ID, ensure

# Found


def test_no_keeper_has_told_where_it_is(session: Session, record: Record) -> None:
    assert session.keepers.find(ID) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"port": 1, "token": "x"}', '{"port": "x", "token": "x", "pid": 1}'])
def test_an_address_that_cannot_be_read(session: Session, record: Record, text: str) -> None:
    (session.store.folder(ID) / "keeper.json").write_text(text)
    assert session.keepers.find(ID) is None


def test_a_keeper_that_has_ended_is_none(session: Session, record: Record) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    (session.store.folder(ID) / "keeper.json").write_text(json.dumps({"port": 1, "token": "x", "pid": process.pid}))
    assert session.keepers.find(ID) is None


def test_a_reused_number_is_no_keeper(session: Session, record: Record) -> None:
    """Another process has got the process id of a killed keeper."""
    with subprocess.Popen(["sleep", "600"]) as process:
        address = {"port": 1, "token": "x", "pid": process.pid, "start": "1"}
        (session.store.folder(ID) / "keeper.json").write_text(json.dumps(address))
        assert session.keepers.find(ID) is None
        KeeperClient(1, "x", process.pid, "1").kill()
        KeeperClient(1, "x", process.pid).kill()
        assert process.poll() is None, "nobody is killed who cannot be told from another"
        (session.store.folder(ID) / "keeper.json").write_text(json.dumps(address | {"start": start_time(process.pid)}))
        there = session.keepers.find(ID)
        assert there is not None
        assert there.identity == (process.pid, start_time(process.pid), 1)
        process.kill()


# Keepers that do not answer


@contextmanager
def answering(status: int, body: bytes) -> Iterator[KeeperClient]:
    """Yield the client of a fake keeper that gives the same answer to every request."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *words: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield KeeperClient(server.server_address[1], "x", os.getpid())
        server.shutdown()
        thread.join()


def test_a_keeper_that_tears_down_is_gone() -> None:
    with (
        answering(503, b'{"error": "the instance is being torn down"}') as keeper,
        pytest.raises(KeeperGone, match="it has expired, or lost its owner"),
    ):
        keeper.ask("GET", "/v1/keeper")


def test_a_request_that_is_refused_for_now_has_its_words() -> None:
    with answering(503, b'{"error": "no unit of app came free"}') as keeper:
        assert keeper.ask("POST", "/v1/leases", {}) == (503, {"error": "no unit of app came free"})


def test_who_answers_in_another_language_is_no_keeper() -> None:
    with answering(200, b"<html>") as keeper, pytest.raises(KeeperSilent, match="the keeper runs, but does not answer"):
        keeper.ask("GET", "/v1/keeper")


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    asks: list[Callable[[KeeperClient], object]] = [
        lambda keeper: keeper.ask("GET", "/v1/keeper"),
        lambda keeper: keeper.stream("/v1/exit-events"),
    ]
    for ask in asks:
        with pytest.raises(KeeperGone, match=r"the keeper does not answer: .*refused"):
            ask(KeeperClient(port, "x", 1, "not that of process 1"))
        with pytest.raises(KeeperSilent, match=r"the keeper runs, but does not answer \(.*refused\)"):
            ask(KeeperClient(port, "x", 1))


@pytest.mark.parametrize("timeout", [0.2, 600.0, None], ids=["a quick question", "a long one", "one without an end"])
def test_a_halted_one_is_silent(session: Session, record: Record, monkeypatch: pytest.MonkeyPatch, timeout: float | None) -> None:
    """A second request to the same stopped keeper fails without waiting."""
    keeper = ensure(session, record)
    os.kill(keeper.pid, signal.SIGSTOP)
    monkeypatch.setattr(client, "QUICK", 0.3)
    with pytest.raises(KeeperSilent):
        keeper.ask("GET", "/v1/processes", timeout=timeout)
    monkeypatch.setattr(client, "QUICK", 600.0)
    with pytest.raises(KeeperSilent):
        keeper.ask("GET", "/v1/processes")
