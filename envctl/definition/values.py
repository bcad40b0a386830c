"""The values that an expression may have: text that programs accept, numbers, booleans, null, and lists and maps of these."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, MappingView
from typing import Any

from envctl.definition.budget import Budget, no_value
from envctl.definition.expression_error import ExpressionError

_UNSOUND = re.compile("[\0\ud800-\udfff]")


def unsound(text: str) -> str:
    """Return why *text* cannot be passed to a program (a NUL or half of a surrogate pair); an empty text if it can."""
    found = _UNSOUND.search(text)
    if found is None:
        return ""
    if found.group() == "\0":
        return "a NUL character cannot be passed to a program"
    return f"U+{ord(found.group()):04X} is half of a surrogate pair"


def sound_text(text: str) -> str:
    """Return *text* unchanged.

    Raises:
        ExpressionError: *text* contains a NUL character or half of a surrogate pair.
    """
    if wrong := unsound(text):
        raise ExpressionError(wrong)
    return str(text)


def settled(value: Any, budget: Budget) -> Any:
    """Return *value* with every iterator in it as a list. A mapping that is not a dict stays as it is.

    Raises:
        ExpressionError: *value* contains something that is not a value.
        UndefinedError: *value* contains something undefined.
    """
    from jinja2 import Undefined

    budget.step()
    if isinstance(value, str):
        return sound_text(value)
    if value is None or isinstance(value, int | float):
        return _finite(value)
    if isinstance(value, dict):
        return {_key(key): settled(item, budget) for key, item in value.items()}
    if isinstance(value, Undefined):
        str(value)  # raises UndefinedError, which names what is missing
    if isinstance(value, list | tuple | range | Iterator | MappingView):
        items: Any = value
        return [settled(item, budget) for item in items]
    if isinstance(value, Mapping):
        return value
    raise ExpressionError(no_value(value))


def _finite(value: float | None) -> float | None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError(f"{value} is not a finite number")
    return value


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ExpressionError(f"the key {key!r} of a map is not text; write it in quotes")
    return sound_text(key)
