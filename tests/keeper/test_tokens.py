"""Tests of what each token of a keeper allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.keeper.api import Tokens
from envctl.keeper.routes import ROUTES
from envctl.keeper.routing import CONTROL, SCOPES, TESTS
from tests.keeper.keepers import Keeper, keeper, until

PROGRAM = {"name": "a", "argv": ["sleep", "100"], "env": {}, "cwd": "/", "log": "/dev/null"}
FORWARDS = {"cluster": {"server": "http://127.0.0.1:1"}, "namespace": "ns", "forwards": []}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/processes", PROGRAM),
        ("GET", "/v1/processes", None),
        ("DELETE", "/v1/processes/mine", None),
        ("POST", "/v1/stop", {}),
        ("POST", "/v1/expires", {"expires": "2001-01-01T00:00:00Z"}),
        ("POST", "/v1/release", {}),
        ("GET", "/v1/exit-events", None),
        ("POST", "/v1/relays", {"listen": ["127.0.0.1", 0], "to": ["127.0.0.1", 1]}),
        ("GET", "/v1/forwards", None),
        ("PUT", "/v1/forwards", FORWARDS),
        ("POST", "/v1/forwards/approve", {"name": "a/b", "data_id": "c"}),
    ],
)
def test_tests_may_not_touch_the_instance(one: Keeper, method: str, path: str, body: Any) -> None:
    pid = one.started("mine", "sleep", "100")
    status, answer = one.ask(method, path, body, Authorization=f"Bearer {one.tests_token}")
    assert (status, list(answer)) == (403, ["error"])
    assert "control" in answer["error"]
    assert list(one.ask("GET", "/v1/processes")[1]) == ["mine"]
    assert one.shown("mine") | {"since": ""} == {"pid": pid, "running": True, "status": None, "since": ""}
    assert one.ask("GET", "/v1/keeper")[1]["expires"] is None


def test_every_other_route_is_ours_alone() -> None:
    """A new route for tests must be added to this list as well."""
    assert {(route.method, route.path) for route in ROUTES if route.scope == TESTS} == {
        ("GET", "/v1/keeper"), ("POST", "/v1/leases"), ("GET", "/v1/leases"), ("DELETE", "/v1/leases/{id}"), ("GET", "/v1/lanes"),
        ("POST", "/v1/lanes/{n}/reset"), ("POST", "/v1/reset"), ("POST", "/v1/checkpoints"), ("GET", "/v1/checkpoints"),
        ("DELETE", "/v1/checkpoints"), ("GET", "/openapi.json"),
    }  # fmt: skip
    assert {route.scope for route in ROUTES} <= set(SCOPES)


def test_tests_see_whose_keeper_it_is_and_how_long_it_lives(one: Keeper) -> None:
    stamp = "2099-01-01T00:00:00Z"
    one.ask("POST", "/v1/expires", {"expires": stamp})
    authorization = f"Bearer {one.tests_token}"
    assert one.ask("GET", "/v1/keeper", Authorization=authorization) == (200, {"id": "shop-0a1b2c", "expires": stamp})


@pytest.mark.parametrize("given", ["Bearer {tests}x", "Bearer {tests}{control}", "Bearer tests", "Basic {tests}", "{tests}"])
def test_what_is_no_token_is_nobodys(one: Keeper, given: str) -> None:
    header = given.format(tests=one.tests_token, control=one.token)
    assert one.ask("GET", "/v1/keeper", Authorization=header)[0] == 401


def test_unknown_paths_and_methods_are_said_before_scopes(one: Keeper) -> None:
    asked = {"Authorization": f"Bearer {one.tests_token}"}
    assert [one.ask(method, path, **asked)[0] for method, path in (("GET", "/v1/none"), ("PATCH", "/v1/processes"))] == [404, 405]


def test_scopes_are_those_of_the_token() -> None:
    tokens = Tokens({"a": [CONTROL, TESTS], "b": [TESTS], "": [CONTROL]})
    found = [tokens.scopes_of(header) for header in ("Bearer a", "Bearer b", "Bearer c", "", "Bearer \u00e9")]
    assert found == [{CONTROL, TESTS}, {TESTS}, set(), set(), set()]


def test_an_unknown_scope_is_an_error(tmp_path: Path) -> None:
    with keeper(tmp_path / "state", tokens={"x": ["everything"]}) as one:
        until(lambda: one.process.poll() is not None)
        assert "the unknown scope everything; known: control, tests" in one.words()
