"""The address of a service, as seen from every viewpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envctl.definition.kinds import Kind
from envctl.engines.registry import traits
from envctl.instance.allocation import Allocation
from envctl.plan.addressing import TESTS, UNKNOWN_PORT, Addressing, Viewpoint
from envctl.plan.referenced_services import Subject
from envctl.plan.traits import Addresses
from tests.builders import plan_with

KAFKA = Kind(kind="bus", ports={"kafka": 9092, "outside": 9094}, outside_port="outside")
PORTS = {("bus", "outside"): 30000, ("Web_1", "main"): 30001, ("Web_1", "admin"): 30002}
WEB = Subject("Web_1", Kind(kind="service"), {"main": 80, "admin": 81}, {}, {})
BUS = Subject("bus", KAFKA, KAFKA.ports, {}, {})


def on(engine: str, by_hand: str | None = None, **changes: Any) -> Addressing:
    found = traits(engine)
    standard: dict[str, Any] = {"engine": found, "addresses": found.addresses, "allocation": Allocation(PORTS), "folder": Path("/files")}
    return Addressing(replace(plan_with().setting, **{**standard, **changes}), by_hand)


BESIDE: dict[str, Any] = {"local": frozenset(["Web_1"])}


@pytest.mark.parametrize(
    ("addressing", "reader", "expected"),
    [
        (on("docker"), "bus", ("Web_1", 80)),
        (on("docker"), None, ("127.0.0.1", 30001)),
        (on("docker", addresses=Addresses("docker.corp")), None, ("docker.corp", 30001)),
        (on("kubernetes"), "bus", ("web-1", 80)),
        (on("kubernetes", shared=True), "bus", ("t-123456-web-1", 80)),
        (on("kubernetes"), None, ("127.0.0.1", 30001)),
        (on("local"), "bus", ("127.0.0.1", 30001)),
        (on("local"), None, ("127.0.0.1", 30001)),
        (on("docker", **BESIDE), "bus", ("Web_1", 30001)),
        (on("docker", **BESIDE), "Web_1", ("127.0.0.1", 30001)),
        (on("docker", by_hand="bus"), "bus", ("127.0.0.1", 30001)),
        (on("docker", allocation=Allocation()), None, ("127.0.0.1", UNKNOWN_PORT)),
    ],
    ids=[
        "a container", "tests", "tests of another machine's", "a pod", "a pod among others", "tests of a cluster's", "a process",
        "tests of a process",
        "a container that reads a process beside it", "that process itself", "by hand", "not known yet",
    ],
)  # fmt: skip
def test_a_service_from_where_its_reader_stands(addressing: Addressing, reader: str | None, expected: tuple[str, int]) -> None:
    assert addressing.address(WEB, "main", addressing.standpoint(reader)) == expected


@pytest.mark.parametrize(
    ("engine", "reader", "expected"),
    [("docker", "Web_1", ("bus", 9092)), ("docker", None, ("127.0.0.1", 30000)), ("local", "Web_1", ("127.0.0.1", 30000))],
)
def test_an_advertised_listener_stands_for_the_main_port_outside(engine: str, reader: str | None, expected: tuple[str, int]) -> None:
    found = on(engine)
    assert found.address(BUS, "kafka", found.standpoint(reader)) == expected


def test_a_reader_may_ask_for_the_other_address() -> None:
    found = on("docker")
    assert found.address(WEB, "admin", found.standpoint("bus").on("outside")) == ("127.0.0.1", 30002)
    assert found.address(WEB, "admin", TESTS.on("inside")) == ("Web_1", 81)


def test_only_a_service_reserves_the_ports_that_it_is_told_of() -> None:
    found = on("docker")
    assert found.reserves(found.standpoint("bus").on("outside"))
    assert not found.reserves(found.standpoint("bus"))
    assert not found.reserves(TESTS)


@pytest.mark.parametrize(
    ("addressing", "service", "bind", "prefix"),
    [
        (on("docker"), "bus", "0.0.0.0", ""),
        (on("local"), "bus", "127.0.0.1", "/files/bus"),
        (on("docker", **BESIDE), "Web_1", "127.0.0.1", "/files/Web_1"),
        (on("docker", **BESIDE), "bus", "0.0.0.0", ""),
        (on("docker", by_hand="bus"), "bus", "127.0.0.1", ""),
    ],
)
def test_where_a_service_listens_and_has_its_files(addressing: Addressing, service: str, bind: str, prefix: str) -> None:
    assert (addressing.bind(service), addressing.prefix(service)) == (bind, prefix)


@pytest.mark.parametrize(
    ("addressing", "reader", "host"),
    [
        (on("docker"), "bus", "host.docker.internal"),
        (on("docker"), None, "host.docker.internal"),
        (on("docker", **BESIDE), "Web_1", "127.0.0.1"),
        (on("docker", by_hand="bus"), "bus", "127.0.0.1"),
        (on("local"), "bus", "127.0.0.1"),
        (on("kubernetes"), "bus", "tests.envctl.invalid"),
    ],
)
def test_the_machine_of_the_tests(addressing: Addressing, reader: str | None, host: str) -> None:
    assert addressing.tester(addressing.standpoint(reader)) == host


def test_what_is_seen_alike_is_evaluated_once() -> None:
    found = on("docker")
    assert found.alike(found.standpoint("bus")) == found.alike(found.standpoint("Web_1"))
    assert found.alike(found.standpoint("bus")) != found.alike(TESTS)
    assert found.alike(Viewpoint("inside", "bus", lane=2)) != found.alike(Viewpoint("inside", "bus"))
