"""Tests of an instance's allocation (ports and subnet) and its JSON form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.instance.allocation import Allocation
from envctl.instance.codec import Malformed

NAMES = st.text(st.sampled_from("ab-_.9"), min_size=1, max_size=5)


@given(st.dictionaries(st.tuples(NAMES, NAMES), st.integers(1, 65535)), st.sampled_from([None, "10.231.0.0/27"]))
def test_what_is_kept_is_read_again(ports: dict[tuple[str, str], int], subnet: str | None) -> None:
    found = Allocation(ports, subnet)
    assert Allocation.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_this_machine_is_the_first_address_of_the_subnet() -> None:
    assert Allocation(subnet="10.231.0.32/27").gateway == "10.231.0.33"
    assert Allocation().gateway == ""


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        ({}, "ports is missing"),
        ({"ports": {}}, "subnet is missing"),
        ({"ports": [], "subnet": None}, "ports: expected dict, not list"),
        ({"ports": {"db/main": "1"}, "subnet": None}, "ports.db/main: expected int, not str"),
        ({"ports": {"db": 1}, "subnet": None}, "ports: 'db' is not SERVICE/PORT"),
        ({"ports": {}, "subnet": "x"}, "subnet: 'x' does not appear to be"),
    ],
)
def test_what_is_something_else_is_named(kept: dict[str, Any], why: str) -> None:
    with pytest.raises(Malformed, match=f"^{why}"):
        Allocation.from_json(kept)
