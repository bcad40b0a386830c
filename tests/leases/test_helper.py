"""Tests of the leases' helper process: a request that can be answered at once does not wait for requests that cannot."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from envctl.keeper.channel import Channel
from envctl.leases.__main__ import Data, serve
from envctl.leases.pool import Pool
from tests.leases.server import Server
from tests.leases.test_leases import record


class Helper:
    """A helper in threads of this process: `ask` sends a request, `answer` returns the next answer."""

    def __init__(self, folder: Path) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(30.0)
        self.channel, self._came = Channel(ours), list[dict[str, Any]]()
        self.data = Data(folder)
        self.threads, self._theirs = ThreadPoolExecutor(4), Channel(theirs)
        self._serving = threading.Thread(target=serve, args=(self._theirs, self.data, self.threads))
        self._serving.start()

    def ask(self, request: int, verb: str, **told: Any) -> None:
        self.channel.send({"request": request, "verb": verb, **told})

    def answer(self) -> tuple[int, int, Any]:
        while not self._came:
            came = self.channel.receive()
            assert came is not None, "nothing has come"
            self._came += came
        found = self._came.pop(0)
        return found["request"], found["status"], found["body"]

    def close(self) -> None:
        self.channel.shut()
        self._serving.join()
        self.threads.shutdown()
        self._theirs.close()
        self.channel.close()


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Helper]:
    monkeypatch.setattr("envctl.leases.leases.opened", Server().opened)
    monkeypatch.setattr(Data, "record", lambda self: record())
    (tmp_path / "i").mkdir()
    helper = Helper(tmp_path / "i")
    yield helper
    helper.close()


def _no_more(helper: Helper, pool: Pool) -> None:
    """Let the pool create no more units, and lease all units that exist."""
    with pool.budget.lock:
        pool.limit = 0
    while True:
        with pool.budget.lock:
            if not {"ready", "making"} & set(pool.units.values()):
                return
        helper.ask(2, "lease", service="db", wait=0.2)
        helper.answer()


def test_who_waits_for_a_unit_keeps_nobody_waiting(helper: Helper) -> None:
    helper.ask(1, "lease", service="db")
    _, status, first = helper.answer()
    assert status == 201
    (pool,) = helper.data.leases._pools.values()
    _no_more(helper, pool)

    helper.ask(3, "lease", service="db", wait=30)
    helper.ask(4, "list_leases")
    assert helper.answer()[:2] == (4, 200)
    pool.limit = 1
    held = helper.data.leases.shown()
    for lease in held:
        helper.ask(5, "give_back", id=lease["id"])
    answers = [helper.answer() for _ in range(len(held) + 1)]
    assert (3, 201) in [each[:2] for each in answers]
    assert first["id"] in {body["id"] for number, _, body in answers if number == 5}


def test_that_there_is_no_unit_is_said_once_the_time_is_over(helper: Helper) -> None:
    helper.ask(1, "lease", service="db")
    assert helper.answer()[:2] == (1, 201)
    (pool,) = helper.data.leases._pools.values()
    _no_more(helper, pool)

    helper.ask(3, "lease", service="db", wait=0.05)
    number, status, body = helper.answer()

    assert (number, status) == (3, 503)
    assert "no unit of app became free within 0.05 s" in body["error"]
