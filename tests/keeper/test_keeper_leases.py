"""Tests of leases, lanes, resets and checkpoints: what the keeper passes to its helper, and what happens when the helper ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.keeper.keepers import Keeper, keeper, until

HELPER = """
import json, os, socket, sys
open(sys.argv[1], "a").write(f"started {os.getpid()}\\n")
channel = socket.socket(fileno=int(sys.argv[-1])).makefile("rw")
for line in channel:
    told = json.loads(line)
    if told.get("service") == "die":
        os._exit(3)
    channel.write(json.dumps({"request": told.pop("request"), "status": 404 if told.get("id") == "none" else 200, "body": told}) + "\\n")
    channel.flush()
"""


@pytest.fixture
def helped(tmp_path: Path) -> Iterator[Keeper]:
    with keeper(tmp_path / "k", data=[sys.executable, "-c", HELPER, str(tmp_path / "starts")]) as started:
        yield started


def ask(one: Keeper, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    return one.ask(method, path, body, Authorization=f"Bearer {one.tests_token}")


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        (
            "POST", "/v1/leases", {"service": "db", "ttl": "5m", "wait": 3, "pid": 7},
            {"verb": "lease", "service": "db", "name": None, "ttl": 300.0, "wait": 3.0, "pid": 7},
        ),
        ("POST", "/v1/leases", {"service": "db"}, {"verb": "lease", "service": "db", "name": None, "ttl": None, "wait": 60.0, "pid": 0}),
        ("GET", "/v1/leases", None, {"verb": "list_leases"}),
        ("DELETE", "/v1/leases/abc", None, {"verb": "give_back", "id": "abc", "keep": False}),
        ("DELETE", "/v1/leases/abc", {"keep": True}, {"verb": "give_back", "id": "abc", "keep": True}),
        ("DELETE", "/v1/leases/abc?keep=true", None, {"verb": "give_back", "id": "abc", "keep": True}),
        ("GET", "/v1/lanes", None, {"verb": "lanes"}),
        ("POST", "/v1/lanes/2/reset", None, {"verb": "reset", "services": [], "lane": 2}),
        ("POST", "/v1/reset", {"services": ["db"]}, {"verb": "reset", "services": ["db"], "lane": None}),
        ("POST", "/v1/checkpoints", {"test": "t"}, {"verb": "checkpoint", "test": "t", "lane": 1}),
        ("GET", "/v1/checkpoints", None, {"verb": "checkpoints"}),
    ],
)  # fmt: skip
def test_tests_may_ask_for(helped: Keeper, method: str, path: str, body: Any, told: Any) -> None:
    assert ask(helped, method, path, body) == (200, told)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/leases", {}),
        ("POST", "/v1/leases", {"service": 1}),
        ("POST", "/v1/leases", {"service": "db", "ttl": "soon"}),
        ("POST", "/v1/leases", {"service": "db", "ttl": 0}),
        ("POST", "/v1/leases", {"service": "db", "ttl": True}),
        ("POST", "/v1/reset", {"services": [1]}),
        ("POST", "/v1/checkpoints", {}),
        ("POST", "/v1/leases", {"service": "db", "nam": "audit"}),
        ("POST", "/v1/reset", {"service": ["db"]}),
        ("POST", "/v1/checkpoints", {"test": "one", "lanes": 2}),
        ("DELETE", "/v1/leases/x", {"kept": True}),
    ],
)
def test_what_is_no_request_is_refused(helped: Keeper, method: str, path: str, body: Any) -> None:
    status, answer = ask(helped, method, path, body)
    assert (status, list(answer)) == (400, ["error"])


def test_the_words_of_the_helper_are_handed_on(helped: Keeper) -> None:
    assert ask(helped, "DELETE", "/v1/leases/none")[0] == 404
    assert ask(helped, "POST", "/v1/lanes/x/reset")[0] == 404


def test_a_helper_that_ends_is_said_and_started_again(helped: Keeper) -> None:
    status, answer = ask(helped, "POST", "/v1/leases", {"service": "die"})
    assert status == 503
    assert "has ended" in answer["error"]
    assert until(lambda: ask(helped, "GET", "/v1/lanes")[0] == 200)


def test_one_that_had_leases_comes_back_by_itself_to_end_them(helped: Keeper, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    assert ask(helped, "GET", "/v1/lanes")[0] == 200
    ask(helped, "POST", "/v1/leases", {"service": "die"})
    assert until(lambda: starts.read_text().count("started") == 2)
    later = tmp_path / "later"
    later.mkdir(0o700)
    (later / "leases.json").write_text("{}")
    with keeper(later, data=[sys.executable, "-c", HELPER, str(starts)]):
        assert until(lambda: starts.read_text().count("started") == 3)


def test_one_that_is_killed_before_it_has_answered_comes_back_too(helped: Keeper, tmp_path: Path) -> None:
    def started() -> list[int]:
        return [int(line.split()[1]) for line in (tmp_path / "starts").read_text().splitlines()]

    assert ask(helped, "GET", "/v1/lanes")[0] == 200
    os.kill(started()[-1], signal.SIGKILL)
    assert until(lambda: len(started()) == 2)
    os.kill(started()[-1], signal.SIGKILL)
    assert until(lambda: len(started()) == 3)


def test_a_keeper_without_one_says_so(one: Keeper) -> None:
    assert ask(one, "GET", "/v1/lanes")[0] == 501


def test_the_document_names_every_route_of_tests(one: Keeper) -> None:
    from envctl.keeper.routes import ROUTES
    from envctl.keeper.routing import TESTS

    status, document = ask(one, "GET", "/openapi.json")
    told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    ours = {(route.method, route.path) for route in ROUTES if route.scope == TESTS and route.path != "/openapi.json"}
    assert (status, document["openapi"], told) == (200, "3.1.0", ours)


@pytest.mark.parametrize("number", ["9" * 5000, "-1", "1.0", "%D9%A3", "..", "%2e%2e"])
def test_what_is_no_number_of_a_lane(helped: Keeper, number: str) -> None:
    assert ask(helped, "POST", f"/v1/lanes/{number}/reset", {})[0] == 404


@pytest.mark.parametrize("wait", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_time_to_wait(helped: Keeper, wait: float) -> None:
    assert ask(helped, "POST", "/v1/leases", {"service": "db", "wait": wait})[0] == 400
