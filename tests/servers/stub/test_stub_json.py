"""Property tests of the stub's JSON comparison and JSONPath."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from envctl.servers.stub.jsonequal import JsonEquality
from envctl.servers.stub.jsonpath import compile_path
from envctl.servers.stub.parsing import parse_json, write_json

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
FEW = st.recursive(
    st.sampled_from([0, 1, False, True, "0", None]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


def canonical(value: Any, ordered: bool) -> str:
    """Return a text that is the same for equal values."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{canonical(value[name], ordered)}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        parts = [canonical(element, ordered) for element in value]
        return "[" + ",".join(parts if ordered else sorted(parts)) + "]"
    return json.dumps(value)


def contains(expected: Any, actual: Any) -> bool:
    """Return whether *actual* matches with `ignoreArrayOrder` and `ignoreExtraElements`, by trying every way to pair elements."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(name in actual and contains(member, actual[name]) for name, member in expected.items())
    if isinstance(expected, list):
        return isinstance(actual, list) and any(
            all(map(contains, expected, chosen)) for chosen in itertools.permutations(actual, len(expected))
        )
    return json.dumps(expected) == json.dumps(actual)


def shuffled(value: Any, random: Any) -> Any:
    if isinstance(value, dict):
        return {name: shuffled(member, random) for name, member in random.sample(list(value.items()), len(value))}
    if isinstance(value, list):
        return [shuffled(element, random) for element in random.sample(value, len(value))]
    return value


@given(FEW, FEW)
def test_equality_is_that_of_the_canonical_text(expected: Any, actual: Any) -> None:
    for ordered in (True, False):
        same = canonical(expected, ordered) == canonical(actual, ordered)
        assert JsonEquality(ignore_array_order=not ordered).holds(expected, actual) is same


@given(VALUES, st.randoms(use_true_random=False))
def test_order_can_be_ignored(value: Any, random: Any) -> None:
    assert JsonEquality(ignore_array_order=True).holds(value, shuffled(value, random))


@given(FEW, FEW)
def test_extra_elements_can_be_ignored_in_any_order(expected: Any, actual: Any) -> None:
    equality = JsonEquality(ignore_array_order=True, ignore_extra_elements=True)

    assert equality.holds(expected, actual) is contains(expected, actual)


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from([0, 1]), max_size=2), max_size=4).flatmap(
        lambda actual: st.tuples(st.lists(st.sampled_from([{}, {"a": 0}, {"b": 1}, {"a": 1, "c": 0}]), max_size=4), st.just(actual))
    )
)
def test_elements_that_fit_several_places_find_one(pair: tuple[list[Any], list[Any]]) -> None:
    equality = JsonEquality(ignore_array_order=True, ignore_extra_elements=True)

    assert equality.holds(*pair) is contains(*pair)


def test_an_element_moves_to_make_room() -> None:
    expected = [{}, {"a": 1}, {"a": 1, "b": 1}]
    actual = [{"a": 1, "b": 1}, {"a": 1}, {"c": 1}]
    equality = JsonEquality(ignore_array_order=True, ignore_extra_elements=True)

    assert all(equality.holds(list(order), actual) for order in itertools.permutations(expected))
    assert not equality.holds([{"a": 1}, {"a": 1}, {"a": 1}], actual)


def test_an_element_that_moved_keeps_its_new_place() -> None:
    equality = JsonEquality(ignore_array_order=True, ignore_extra_elements=True)

    assert not equality.holds([{"x": 1}, {"a": 1}, {"x": 1}], [{"x": 1, "a": 1}, {"x": 1}, {"z": 1}])


@given(st.lists(st.integers(), min_size=1), st.integers())
def test_a_longer_array_equals_only_where_extra_elements_are_ignored(elements: list[int], extra: int) -> None:
    longer = [*elements, extra]

    assert not JsonEquality().holds(elements, longer)
    assert JsonEquality(ignore_extra_elements=True).holds(elements, longer)
    assert not JsonEquality(ignore_extra_elements=True).holds(longer, elements)


@given(VALUES)
def test_text_and_value_belong_together(value: Any) -> None:
    assert parse_json(write_json(value)) == value


def quoted(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


def nodes(value: Any, path: str = "$") -> Any:
    """Yield *value* and every value in it, each with its JSONPath."""
    yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from nodes(child, f"{path}[{key if isinstance(key, int) else quoted(key)}]")


@given(VALUES)
def test_a_path_leads_to_the_value_it_names(value: Any) -> None:
    for path, node in nodes(value):
        assert compile_path(path).find(value) == [node]


@given(VALUES)
def test_a_deep_wildcard_finds_everything_below(value: Any) -> None:
    below = [node for _, node in nodes(value)][1:]

    assert sorted(map(repr, compile_path("$..*").find(value))) == sorted(map(repr, below))


@given(st.lists(st.integers()), st.integers())
def test_a_filter_keeps_what_its_condition_holds_for(numbers: list[int], bound: int) -> None:
    items = [{"n": number} for number in numbers]

    found = compile_path(f"$.items[?(@.n >= {bound})].n").find({"items": items})

    assert found == [number for number in numbers if number >= bound]
