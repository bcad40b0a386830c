"""Tests of regular expressions in mappings that would run almost endlessly with backtracking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.stub.conftest import RunningStub

LONG = "a" * 60


@pytest.mark.parametrize(
    "expected",
    [
        {"urlPathPattern": "/(a+)+"},
        {"url": f"/{LONG}!", "headers": {"X": {"matchesJsonPath": "$[?(@.a =~ /(a+)+/)]"}}},
    ],
)
def test_one_that_takes_too_long_costs_its_request_alone(stub: RunningStub, expected: dict[str, object]) -> None:
    stub.add({"request": expected, "response": {"status": 200}}, {"request": {"url": "/other"}, "response": {"body": "quick"}})
    header = f'{{"a": "{LONG}!"}}'
    reply = stub.get(f"/{LONG}!", X=header)
    assert (reply.status, "took longer than 1 s" in reply.text) == (500, True)
    assert stub.get("/other").text == "quick"
