"""Convert dataclasses to plain JSON values and back, strictly: a value of the wrong type is an error that names its place."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
_hints = lru_cache(get_type_hints)
UNKNOWN = "unknown"
"""The name of the field that keeps the keys that this version does not know."""


class Malformed(ValueError):
    """A value does not have the type that is declared for it; the message begins with its place."""


def encode(value: Any) -> Any:
    """Return *value* as JSON values; the keys in an `unknown` field are written back to their original place."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if is_dataclass(value):
        plain = {field.name: encode(getattr(value, field.name)) for field in fields(value) if field.name != UNKNOWN}
        return plain | dict(getattr(value, UNKNOWN, {}))
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    return [encode(item) for item in value] if isinstance(value, list | tuple) else value


def decode(kind: type[T], told: Any, where: str = "") -> T:
    """Create an instance of *kind* from the result of `encode`; *where* is the place of *told*, for errors.

    Raises:
        Malformed: a value has the wrong type, or is missing.
    """
    found: T = _decoded(kind, told, where)
    return found


def _decoded(kind: Any, told: Any, where: str) -> Any:
    if kind is Any:
        return told
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = next(each for each in get_args(kind) if each is not type(None))
        return None if told is None else _decoded(inner, told, where)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        inner = get_args(kind)[1]
        return {key: _decoded(inner, item, f"{where}.{key}") for key, item in _of_type(dict, told, where).items()}
    if origin is not None:
        items = [_decoded(get_args(kind)[0], item, f"{where}[{number}]") for number, item in enumerate(_of_type(list, told, where))]
        return tuple(items) if origin is tuple else items
    if hasattr(kind, "from_json"):
        return kind.from_json(_of_type(dict, told, where), where)
    if is_dataclass(kind):
        return _of_fields(kind, _of_type(dict, told, where), where)
    if issubclass(kind, Enum):
        try:
            return kind(told)
        except ValueError:
            raise Malformed(f"{where.lstrip('.')}: '{told}' is not one of {', '.join(str(each.value) for each in kind)}") from None
    return _of_type(kind, told, where)


def _of_fields(kind: Any, told: dict[str, Any], where: str) -> Any:
    hints, given = _hints(kind), {}
    for field in fields(kind):
        if field.name == UNKNOWN:
            given[UNKNOWN] = {key: value for key, value in told.items() if key not in hints}
        elif field.name in told:
            given[field.name] = _decoded(hints[field.name], told[field.name], f"{where}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise Malformed(f"{where}.{field.name} is missing".lstrip("."))
    return kind(**given)


def _of_type(kind: type[Any], told: Any, where: str) -> Any:
    if kind is float and type(told) is int:
        return float(told)
    if not isinstance(told, kind) or (isinstance(told, bool) and kind is not bool):
        raise Malformed(f"{where.lstrip('.') or 'the record'}: expected {kind.__name__}, not {type(told).__name__}")
    return told
