"""The addresses of a plan's services, as their engine gives them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from envctl.lifecycle.planning import reached
from envctl.plan.traits import Addresses
from tests.builders import plan_with, port, service

NETWORKS = {"networks": {"corp": {"external": True}, "open": None}}


class Asked:
    """An engine with one internal network, which records what it is asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def addresses(self) -> Addresses:
        return Addresses("h")

    def internal(self, networks: Collection[str]) -> frozenset[str]:
        self.asked.append(list(networks))
        return frozenset({"corp"} & {*networks})


@pytest.mark.parametrize(
    ("joined", "ports", "from_compose", "asked"),
    [
        ({"corp": None}, (port("http", 80),), True, [["corp"]]),
        ({"corp": None, "open": None}, (port("http", 80),), True, []),
        ({}, (port("http", 80),), True, []),
        ({"corp": None}, (), True, []),
        ({"corp": None}, (port("http", 80),), False, []),
    ],
)
def test_networks_are_asked_for_where_they_decide_and_nowhere_else(
    joined: Any, ports: Any, from_compose: bool, asked: list[list[str]]
) -> None:
    db = service("db", from_compose=from_compose, compose={"networks": joined}, ports=ports)
    engine: Any = Asked()
    found = reached(engine, replace(plan_with(db), compose_extra=NETWORKS))
    assert engine.asked == asked
    assert found == Addresses("h", internal=frozenset({"corp"} if asked else ()))
