"""The matcher `equalToJson`: compare two JSON values, of which the expected one may have placeholders of json-unit."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from .parsing import Refusal, compile_regex, unknown

_PLACEHOLDER = re.compile(r"[$#]\{json-unit\.([^}]*)\}(.*)", re.DOTALL)
_IGNORE_ELEMENT = "ignore-element"


class JsonEquality(NamedTuple):
    """The options of a comparison.

    Attributes:
        ignore_array_order: whether the elements of arrays may have any order.
        ignore_extra_elements: whether objects and arrays may have more elements than expected.
    """

    ignore_array_order: bool = False
    ignore_extra_elements: bool = False

    def holds(self, expected: Any, actual: Any) -> bool:
        """Return whether *actual* equals *expected*."""
        if isinstance(expected, dict):
            return isinstance(actual, dict) and self._objects(expected, actual)
        if isinstance(expected, list):
            return isinstance(actual, list) and self._arrays(expected, actual)
        placeholder = _placeholder(expected)
        if placeholder:
            return _accepts(placeholder[0], placeholder[1], actual)
        return _scalar(expected) == _scalar(actual)

    def _objects(self, expected: dict[str, Any], actual: dict[str, Any]) -> bool:
        if not self.ignore_extra_elements and not actual.keys() <= expected.keys():
            return False
        return all(self.holds(member, actual[name]) if name in actual else _is_optional(member) for name, member in expected.items())

    def _arrays(self, expected: list[Any], actual: list[Any]) -> bool:
        enough = len(expected) <= len(actual) if self.ignore_extra_elements else len(expected) == len(actual)
        if not enough:
            return False
        if self.ignore_array_order:
            return self._can_pair(expected, actual)
        return all(map(self.holds, expected, actual))

    def _can_pair(self, expected: list[Any], actual: list[Any]) -> bool:
        """Return whether each expected element can be paired with a different actual one.

        If extra members are ignored, an element may match several others. Taking the first match could use up the only match of another
        element. So a later element may move an earlier one to another place (an augmenting path).
        """
        owner: dict[int, int] = {}
        place_of: dict[int, int] = {}
        for start in range(len(expected)):
            came_from: dict[int, int] = {}
            place = self._free_place(start, expected, actual, owner, came_from)
            if place is None:
                return False
            while place is not None:
                index = owner[place] = came_from[place]
                place_of[index], place = place, place_of.get(index)
        return True

    def _free_place(
        self, start: int, expected: list[Any], actual: list[Any], owner: dict[int, int], came_from: dict[int, int]
    ) -> int | None:
        """Return the free place that needs the fewest moves, or None. `came_from` receives the element that would move to each place."""
        waiting = deque([start])
        while waiting:
            index = waiting.popleft()
            for place in _around(index, len(actual)):
                if place in came_from or not self.holds(expected[index], actual[place]):
                    continue
                came_from[place] = index
                if place not in owner:
                    return place
                waiting.append(owner[place])
        return None


def check_placeholders(expected: Any) -> None:
    """Check all placeholders in an expected value.

    Raises:
        Refusal: a placeholder is unknown, or its regular expression is invalid.
    """
    for value in _leaves(expected):
        placeholder = _placeholder(value)
        if placeholder and placeholder[0] == "regex":
            compile_regex(placeholder[1])
        elif placeholder and placeholder[0] not in _KNOWN:
            raise Refusal(unknown("json-unit placeholder", placeholder[0], (*_KNOWN, "regex")))


def _around(index: int, size: int) -> Iterator[int]:
    # Elements are usually at their expected place. Looking there first makes the usual comparison linear.
    yield from range(index, size)
    yield from range(min(index, size))


def _scalar(value: Any) -> tuple[str, Any]:
    # In Python, True equals 1; in JSON it does not.
    if isinstance(value, bool) or value is None:
        return "literal", value
    if isinstance(value, (int, float, Decimal)):
        return "number", value
    return type(value).__name__, value


def _placeholder(value: Any) -> tuple[str, str] | None:
    found = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    return (found[1], found[2]) if found else None


def _is_optional(value: Any) -> bool:
    return _placeholder(value) == (_IGNORE_ELEMENT, "")


def _accepts(name: str, rest: str, actual: Any) -> bool:
    if name == "regex":
        return isinstance(actual, str) and compile_regex(rest).fullmatch(actual) is not None
    return _KNOWN[name] == "" or (_scalar(actual)[0] == _KNOWN[name] and actual is not None)


_KNOWN = {"ignore": "", _IGNORE_ELEMENT: "", "any-string": "str", "any-number": "number", "any-boolean": "literal"}


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for member in value.values():
            yield from _leaves(member)
    elif isinstance(value, list):
        for element in value:
            yield from _leaves(element)
    else:
        yield value
