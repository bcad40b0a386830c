"""The matchers of a request pattern, which check a header, a parameter, a cookie or a body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .jsonequal import JsonEquality, check_placeholders
from .jsonpath import JsonPath, compile_path
from .parsing import Refusal, as_flag, as_object, as_text, compile_regex, parse_json, unknown, write_json


class Matcher(NamedTuple):
    """A check of one value.

    Attributes:
        operator: the name of the matcher.
        expected: the expected value, for messages.
        accepts: returns whether a value passes; None stands for a missing value.
    """

    operator: str
    expected: str
    accepts: Callable[[str | None], bool]


def equal_to(expected: str, ignore_case: bool = False) -> Matcher:
    """Return a matcher that accepts exactly one text."""
    if not ignore_case:
        return Matcher("equalTo", expected, lambda value: value == expected)
    folded = expected.casefold()
    return Matcher("equalTo", expected, lambda value: value is not None and value.casefold() == folded)


def contains(text: str, negated: bool = False) -> Matcher:
    """Return a matcher that accepts values that contain *text*, or if negated, all other values."""
    operator = "doesNotContain" if negated else "contains"
    return Matcher(operator, text, lambda value: negated != (value is not None and text in value))


def matches(pattern: str, negated: bool = False) -> Matcher:
    """Return a matcher that accepts values that a regular expression matches as a whole, or if negated, all other values.

    Raises:
        Refusal: the regular expression is invalid.
    """
    compiled = compile_regex(pattern)
    operator = "doesNotMatch" if negated else "matches"
    return Matcher(operator, pattern, lambda value: negated != (value is not None and compiled.fullmatch(value) is not None))


def parse_matcher(value: object) -> Matcher:
    """Parse a matcher of a mapping, such as `{"equalTo": "x"}`.

    Raises:
        Refusal: the object is not a supported matcher.
    """
    spec = as_object(value)
    operators = [key for key in spec if key in _PARSERS]
    strangers = [key for key in spec if key not in _PARSERS and key not in _ALL_OPTIONS]
    if strangers:
        raise Refusal(*(unknown("matcher", key, _PARSERS) for key in strangers))
    if len(operators) != 1:
        raise Refusal(f"needs exactly one matcher, has {', '.join(operators) or 'none'}; known: {', '.join(sorted(_PARSERS))}")
    operator = operators[0]
    options = {key: option for key, option in spec.items() if key != operator}
    misplaced = [key for key in options if key not in _OPTIONS.get(operator, ())]
    if misplaced:
        raise Refusal(f"{misplaced[0]!r} has no effect on {operator!r}")
    return _PARSERS[operator](spec[operator], options)


def _absent(expected: object, options: dict[str, object]) -> Matcher:
    if expected is not True:
        raise Refusal(f"absent: must be true, not {expected!r}")
    return Matcher("absent", "", lambda value: value is None)


def _equal_to_json(expected: object, options: dict[str, object]) -> Matcher:
    text = expected if isinstance(expected, str) else write_json(expected)
    try:
        wanted = parse_json(text)
    except ValueError as error:
        raise Refusal(f"equalToJson: not valid JSON: {error}") from None
    check_placeholders(wanted)
    flags = (as_flag(options.get(name, False)) for name in _OPTIONS["equalToJson"])
    equality = JsonEquality(*flags)
    return Matcher("equalToJson", text, lambda value: _equals_json(value, equality, wanted))


def _matches_json_path(expected: object, options: dict[str, object]) -> Matcher:
    if isinstance(expected, str):
        path = compile_path(expected)
        return Matcher("matchesJsonPath", expected, lambda value: _result(path, value) not in _NOTHING)
    spec = as_object(expected)
    if "expression" not in spec:
        raise Refusal("matchesJsonPath: must be an expression, or an object of `expression` and a matcher")
    expression = as_text(spec["expression"])
    path = compile_path(expression)
    inner = parse_matcher({key: value for key, value in spec.items() if key != "expression"})
    described = f"{expression} {inner.operator} {inner.expected}".rstrip()
    return Matcher("matchesJsonPath", described, lambda value: _path_accepts(path, inner, value))


def _equals_json(value: str | None, equality: JsonEquality, wanted: Any) -> bool:
    try:
        return value is not None and equality.holds(wanted, parse_json(value))
    except ValueError:
        return False


def _result(path: JsonPath, value: str | None) -> Any:
    """Return what a path finds in a JSON text: a value or None if the path is definite, else a list. None for invalid JSON."""
    try:
        found = path.find(parse_json(value or ""))
    except ValueError:
        return None
    return (found[0] if found else None) if path.is_definite else found


def _path_accepts(path: JsonPath, inner: Matcher, value: str | None) -> bool:
    result = _result(path, value)
    if result is None or result == []:
        return inner.operator == "absent"
    if isinstance(result, list) and inner.operator not in ("equalToJson", "matchesJsonPath"):
        return any(inner.accepts(_as_text(element)) for element in result if element is not None)
    return inner.accepts(_as_text(result))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else write_json(value)


_PARSERS: dict[str, Callable[[object, dict[str, object]], Matcher]] = {
    "equalTo": lambda expected, options: equal_to(as_text(expected), as_flag(options.get("caseInsensitive", False))),
    "contains": lambda expected, options: contains(as_text(expected)),
    "doesNotContain": lambda expected, options: contains(as_text(expected), negated=True),
    "matches": lambda expected, options: matches(as_text(expected)),
    "doesNotMatch": lambda expected, options: matches(as_text(expected), negated=True),
    "absent": _absent,
    "equalToJson": _equal_to_json,
    "matchesJsonPath": _matches_json_path,
}
_NOTHING: tuple[Any, ...] = (None, [], {})
_OPTIONS = {"equalTo": ("caseInsensitive",), "equalToJson": ("ignoreArrayOrder", "ignoreExtraElements")}
_ALL_OPTIONS = frozenset(option for options in _OPTIONS.values() for option in options)
