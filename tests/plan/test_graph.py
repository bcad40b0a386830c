from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.plan.make import Cycle, start_order

CONDITIONS = st.sampled_from(["started", "ready", "seeded", "done"])
Needs = dict[str, dict[str, str]]


@st.composite
def acyclic(draw: st.DrawFn) -> tuple[Needs, Needs]:
    """Draw needs and seeding needs without cycles, in random order: each service needs only services that were drawn before it."""
    names = draw(st.lists(st.text("abcdefghij", min_size=1, max_size=2), unique=True, max_size=8))
    needs: Needs = {}
    seeding: Needs = {}
    for number, name in enumerate(names):
        earlier = st.sets(st.sampled_from(names[:number])) if number else st.just(set())
        needs[name] = {other: draw(CONDITIONS) for other in sorted(draw(earlier))}
        seeding[name] = {other: draw(CONDITIONS) for other in sorted(draw(earlier))}
    shuffled = draw(st.permutations(names))
    return {name: needs[name] for name in shuffled}, {name: seeding[name] for name in shuffled}


@given(acyclic())
def test_an_order_respects_all_needs(given: tuple[Needs, Needs]) -> None:
    needs, seeding = given
    order = start_order(needs, seeding)
    assert sorted(order) == sorted(needs)
    for name, others in needs.items():
        assert all(order.index(other) < order.index(name) for other in others)
        seeds_first = [other for other, condition in others.items() if condition in ("seeded", "done")]
        assert all(order.index(s) < order.index(name) for other in seeds_first for s in seeding[other])


@given(acyclic())
def test_the_order_is_the_same_every_time(given: tuple[Needs, Needs]) -> None:
    assert start_order(*given) == start_order(*given)


@given(st.integers(1, 6), st.data())
def test_a_cycle_is_closed_and_real(length: int, data: st.DataObject) -> None:
    ring = [f"s{number}" for number in range(length)]
    needs: Needs = {name: {ring[(number + 1) % length]: data.draw(CONDITIONS)} for number, name in enumerate(ring)}
    needs |= {"before": {"s0": "ready"}, "free": {}}
    with pytest.raises(Cycle) as caught:
        start_order(data.draw(st.permutations(list(needs)).map(lambda names: {name: needs[name] for name in names})), {})
    path = caught.value.path
    assert path[0] == path[-1]
    assert len(path) > 1
    assert all(other in needs[name] for name, other in pairwise(path))
    assert str(caught.value) == " -> ".join(path)


def test_a_seed_may_need_whoever_needs_the_server_only() -> None:
    """A seed step of `db` may wait for `cache`, because `cache` waits only until `db` is ready, not until `db` is seeded."""
    assert start_order({"db": {}, "cache": {"db": "ready"}}, {"db": {"cache": "ready"}}) == ["db", "cache"]


def test_a_seed_that_waits_for_whoever_waits_for_it() -> None:
    with pytest.raises(Cycle) as caught:
        start_order({"db": {}, "orders": {"db": "seeded"}}, {"db": {"orders": "started"}})
    assert sorted(caught.value.path[:-1]) == ["db", "orders"]


def test_what_is_not_to_be_started_is_left_out() -> None:
    assert start_order({"orders": {"elsewhere": "ready"}}, {}) == ["orders"]


def test_nothing_has_an_order() -> None:
    assert start_order({}, {}) == []
