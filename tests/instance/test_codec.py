"""Tests of converting records to JSON and back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envctl.instance.allocation import Allocation
from envctl.instance.codec import Malformed, decode, encode
from envctl.instance.record import Choices, DataRecord, Endpoint, InstanceState, LaneRecord, Record, ServiceRecord
from envctl.instance.units import Names, Unit
from tests.builders import record_of

TEXTS = st.text(max_size=5)
KEYS = st.text(st.sampled_from("ab-_9"), min_size=1, max_size=4)
JSON = st.none() | st.booleans() | st.integers() | TEXTS | st.lists(TEXTS, max_size=2) | st.dictionaries(TEXTS, st.integers(), max_size=2)
UNKNOWN = st.dictionaries(st.sampled_from(["later", "another key"]), JSON)
NAMES = st.builds(Names, TEXTS, TEXTS, st.lists(TEXTS).map(tuple), UNKNOWN)
UNITS = st.builds(Unit, TEXTS, st.lists(NAMES, max_size=2).map(tuple), st.dictionaries(TEXTS, JSON), st.just({}), unknown=UNKNOWN)
SERVICES = st.builds(
    ServiceRecord, TEXTS, TEXTS, st.none() | st.integers(), st.dictionaries(KEYS, st.builds(Endpoint, st.none() | TEXTS, st.integers())),
    st.booleans(), st.lists(TEXTS).map(tuple), st.dictionaries(TEXTS, TEXTS), st.none() | st.integers(), st.booleans(), st.booleans(),
    st.none() | UNITS, st.integers(), TEXTS, unknown=UNKNOWN,
)  # fmt: skip
DATA = st.builds(DataRecord, TEXTS, st.lists(TEXTS).map(tuple), st.booleans(), st.lists(TEXTS).map(tuple), TEXTS, TEXTS, UNKNOWN)
RECORDS = st.builds(
    lambda **given: record_of(**given), state=st.sampled_from(InstanceState), services=st.dictionaries(KEYS, SERVICES),
    data=st.dictionaries(KEYS, DATA), allocation=st.builds(Allocation, st.dictionaries(st.tuples(KEYS, KEYS), st.integers(1, 65535))),
    lanes=st.lists(st.builds(LaneRecord, st.integers(), st.dictionaries(TEXTS, TEXTS), UNKNOWN)).map(tuple),
    choices=st.builds(Choices, only=st.lists(TEXTS).map(tuple), port=st.dictionaries(KEYS, st.integers()), unknown=UNKNOWN),
    stop=st.dictionaries(KEYS, st.floats(0, 100)), expires=st.none() | TEXTS, unknown=UNKNOWN,
)  # fmt: skip


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(RECORDS)
def test_what_is_written_is_read_again(record: Record) -> None:
    assert decode(Record, json.loads(json.dumps(encode(record)))) == record


def test_a_file_is_plain_json() -> None:
    record = record_of(
        state=InstanceState.UP,
        services={"db": ServiceRecord("postgres", endpoints={"main": Endpoint(None, 1)}, shell=("psql",))},
        allocation=Allocation({("db", "main"): 1}, "10.0.0.0/27"),
    )
    told = json.loads(json.dumps(encode(record)))
    assert (told["version"], told["state"]) == (1, "up")
    assert told["services"]["db"]["endpoints"] == {"main": {"host": None, "port": 1}}
    assert told["allocation"] == {"ports": {"db/main": 1}, "subnet": "10.0.0.0/27"}


def test_keys_that_are_not_known_stand_where_they_were() -> None:
    told = encode(record_of(services={"db": ServiceRecord("postgres")}, data={"db": DataRecord("1")}))
    told["later"] = {"a": [1]}
    told["services"]["db"]["later"] = True
    told["data"]["db"]["later"] = None
    told["choices"]["later"] = "x"
    found = decode(Record, told)
    assert encode(replace(found, error="changed")) == told | {"error": "changed"}


@dataclass(frozen=True)
class Part:
    number: int
    weight: float = 1.0
    words: tuple[str, ...] = ()
    perhaps: str | None = None
    anything: Any = None
    state: InstanceState = InstanceState.UP
    parts: dict[str, Part] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([], "the record: expected dict, not list"),
        ({}, "number is missing"),
        ({"number": "1"}, "number: expected int, not str"),
        ({"number": True}, "number: expected int, not bool"),
        ({"number": None}, "number: expected int, not NoneType"),
        ({"number": 1, "weight": "x"}, "weight: expected float, not str"),
        ({"number": 1, "words": "abc"}, "words: expected list, not str"),
        ({"number": 1, "words": ["a", 1]}, r"words\[1\]: expected str, not int"),
        ({"number": 1, "perhaps": 1}, "perhaps: expected str, not int"),
        ({"number": 1, "state": "asleep"}, "state: 'asleep' is not one of starting, up, "),
        ({"number": 1, "parts": {"a": {"number": 1, "parts": []}}}, "parts.a.parts: expected dict, not list"),
    ],
)
def test_what_is_of_another_type_is_named_with_its_place(told: Any, why: str) -> None:
    with pytest.raises(Malformed, match=f"^{why}"):
        decode(Part, told)


def test_a_whole_number_is_a_float_too() -> None:
    found = decode(Part, {"number": 1, "weight": 2, "perhaps": None})
    assert (found.weight, type(found.weight)) == (2.0, float)
