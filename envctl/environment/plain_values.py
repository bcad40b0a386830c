"""A quick check of a value against a JSON Schema, for the keywords that nearly all parameters have.

The library that knows all keywords takes longer to import than everything else that is checked of a definition. It is used only if
this check is not certain, and for the message if something is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from envctl.definition.patterns import BadPattern, compiled

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def plainly_fits(schema: Any, value: Any) -> bool:
    """Return whether *schema* is certainly valid and *value* certainly fits it. False means that the library has to decide."""
    return _is_plain(schema) and _fits(schema, value)


def _is_plain(schema: Any) -> bool:
    """Return whether every part of *schema* is known here and well-formed, including the parts that do not apply to the value."""
    return isinstance(schema, dict) and all(key.startswith("x-") or _FORMS.get(key, _never)(said) for key, said in schema.items())


def _never(said: Any) -> bool:
    return False


def _is_text(said: Any) -> bool:
    return isinstance(said, str)


def _is_count(said: Any) -> bool:
    return type(said) is int and said >= 0


def _is_number(said: Any) -> bool:
    return type(said) in (int, float)


def _are_types(said: Any) -> bool:
    names = said if isinstance(said, list) else [said]
    return bool(names) and all(isinstance(name, str) and name in _TYPES for name in names) and len(set(names)) == len(names)


def _are_texts(said: Any) -> bool:
    return isinstance(said, list) and bool(said) and all(map(_is_text, said)) and len(set(said)) == len(said)


def _are_plain(said: Any) -> bool:
    return isinstance(said, dict) and all(map(_is_plain, said.values()))


_FORMS: Mapping[str, Callable[[Any], bool]] = {
    "description": _is_text,
    "default": lambda said: True,
    "type": _are_types,
    "enum": _are_texts,
    "pattern": _is_text,
    "format": _is_text,
    "minLength": _is_count,
    "maxLength": _is_count,
    "minimum": _is_number,
    "maximum": _is_number,
    "items": _is_plain,
    "properties": _are_plain,
    "required": _are_texts,
    "propertyNames": _is_plain,
    "additionalProperties": lambda said: isinstance(said, bool) or _is_plain(said),
}


def _fits(schema: Mapping[str, Any], value: Any) -> bool:
    wanted = schema.get("type", list(_TYPES))
    if not any(_has_type(name, value) for name in ([wanted] if isinstance(wanted, str) else wanted)):
        return False
    if "enum" in schema and not (isinstance(value, str) and value in schema["enum"]):
        return False
    if isinstance(value, str):
        return _text_fits(schema, value)
    if isinstance(value, list):
        return "items" not in schema or all(_fits(schema["items"], item) for item in value)
    if isinstance(value, dict):
        return _map_fits(schema, value)
    return isinstance(value, bool | None) or schema.get("minimum", value) <= value <= schema.get("maximum", value)


def _has_type(name: str, value: Any) -> bool:
    """Return whether *value* has the JSON type *name*; true and false are not numbers."""
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _text_fits(schema: Mapping[str, Any], value: str) -> bool:
    """Return whether a text fits; False if the schema has a format, because formats are not known here."""
    if "format" in schema or not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        return False
    try:
        return "pattern" not in schema or bool(compiled(schema["pattern"], lines=False).search(value))
    except BadPattern:
        return False


def _map_fits(schema: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    known, others, names = schema.get("properties", {}), schema.get("additionalProperties", {}), schema.get("propertyNames", {})
    return set(schema.get("required", ())) <= value.keys() and all(
        _fits(names, key) and (_fits(known[key], item) if key in known else others is True or (others is not False and _fits(others, item)))
        for key, item in value.items()
    )
