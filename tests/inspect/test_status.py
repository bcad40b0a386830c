from __future__ import annotations

from typing import Any

import pytest

from envctl.engines import ServiceState
from envctl.inspect.status import document, overall
from envctl.instance.record import DataRecord, Endpoint, InstanceState, LaneRecord, ServiceRecord
from tests.builders import record_of

UP, DOWN, CRASHED = ServiceState(True), ServiceState(False, 0), ServiceState(False, 1)


def entry(state: str = "seeded", **changes: Any) -> ServiceRecord:
    return ServiceRecord("postgres", state, 12, {"main": Endpoint("h", 1)}, shell=("psql",), user=999, **changes)


def test_the_whole_document() -> None:
    record = record_of(
        state=InstanceState.UP, services={"db": entry()}, outputs={"A": "b"}, expires="2030-01-01T02:00:00Z", timings_ms={"total": 5}
    )
    assert document(record) == {
        "name": "t",
        "id": "t-123456",
        "environment": "t",
        "engine": "docker",
        "state": "seeded",
        "expires": "2030-01-01T02:00:00Z",
        "services": {"db": {"kind": "postgres", "state": "seeded", "ready_ms": 12, "endpoints": {"main": {"host": "h", "port": 1}}}},
        "outputs": {"A": "b"},
        "lanes": [],
        "timings_ms": {"total": 5},
    }


def test_an_error_is_said() -> None:
    assert document(record_of(error="out of time"))["error"] == "out of time"


@pytest.mark.parametrize(
    ("known", "seen", "expected"),
    [
        ("seeded", UP, "seeded"),
        ("seeded", DOWN, "stopped"),
        ("seeded", CRASHED, "failed"),
        ("seeded", None, "stopped"),
        ("ready", UP, "ready"),
        ("done", DOWN, "done"),
        ("done", None, "done"),
        ("pending", None, "pending"),
    ],
)
def test_a_service_is_shown_as_its_engine_sees_it(known: str, seen: ServiceState | None, expected: str) -> None:
    states = {"db": seen} if seen else {}
    assert document(record_of(services={"db": entry(known)}), states)["services"]["db"]["state"] == expected
    assert document(record_of(services={"db": entry(known)}))["services"]["db"]["state"] == known


@pytest.mark.parametrize(
    ("record", "states", "expected"),
    [
        ("up", ["seeded", "done", "seeded"], "seeded"),
        ("up", ["seeded", "stopped", "failed"], "failed"),
        ("up", ["seeded", "stopped"], "stopped"),
        ("starting", ["ready", "pending", "starting"], "pending"),
        ("starting", ["ready", "starting"], "starting"),
        ("starting", ["ready", "seeded"], "ready"),
        ("up", ["done", "done"], "done"),
        ("up", [], "seeded"),
        ("failed", ["seeded"], "failed"),
        ("removing", ["seeded"], "stopped"),
    ],
)
def test_the_state_of_the_whole(record: str, states: list[str], expected: str) -> None:
    services = {str(number): {"state": state} for number, state in enumerate(states)}
    assert overall(record_of(state=InstanceState(record)), services) == expected


@pytest.mark.parametrize(("seen", "expected"), [(DOWN, "done"), (CRASHED, "failed"), (UP, "seeded"), (None, "stopped")])
def test_one_that_may_end_is_done_when_it_has(seen: ServiceState | None, expected: str) -> None:
    states = {"db": seen} if seen else {}
    assert document(record_of(services={"db": entry(ends=True)}), states)["services"]["db"]["state"] == expected


def test_lanes_are_their_outputs() -> None:
    assert document(record_of(lanes=(LaneRecord(0, {"A": "b"}), LaneRecord(1))))["lanes"] == [{"A": "b"}, {}]


@pytest.mark.parametrize(
    ("ids", "state", "told"),
    [(("old", "old c"), "seeded", False), (("new", "new c"), "starting", True), ((), "seeded", False)],
)
def test_a_server_that_was_replaced_is_not_seeded(ids: tuple[str, ...], state: str, told: bool) -> None:
    record = record_of(state=InstanceState.UP, services={"db": entry()}, data={"db": DataRecord("old", ("hash",))})
    found = document(record, {"db": ServiceState(True, data_ids=ids)})
    assert (found["state"], found["services"]["db"]["state"]) == (state, state)
    assert ("`envctl seed t-123456 db`" in found.get("error", "")) == told
