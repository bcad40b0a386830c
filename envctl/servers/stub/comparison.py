"""The comparisons inside a JSONPath filter, as Jayway makes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

MISSING = object()
NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"


def _equal(left: Any, right: Any) -> bool:
    if left is MISSING or right is MISSING:
        return False
    if (_is_number(left) and isinstance(right, str)) or (isinstance(left, str) and _is_number(right)):
        left, right = _number(left), _number(right)
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _ordered(left: Any, right: Any) -> bool:
    return (_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def _number(value: Any) -> Any:
    # Jayway takes '1' for 1 when it compares them for equality, though not for order.
    if not isinstance(value, str):
        return value
    return Decimal(value) if re.fullmatch(NUMBER, value) else None


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": lambda left, right: _ordered(left, right) and left < right,
    "<=": lambda left, right: _ordered(left, right) and left <= right,
    ">": lambda left, right: _ordered(left, right) and left > right,
    ">=": lambda left, right: _ordered(left, right) and left >= right,
}
