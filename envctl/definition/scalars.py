"""Plain scalars of YAML 1.2's core schema: `on`, `22:22` and dates are text; numbers remember how they were written."""

from __future__ import annotations

import re

_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
}
# Longer ones are no numbers that anything here could use, and reading them costs quadratic time.
_MAX_DIGITS = 300

Scalar = str | int | float | bool | None


class WrittenInt(int):
    """An integer whose text is not the usual one: `0x1F`, `007`."""

    text: str


class WrittenFloat(float):
    """A number whose text is not the usual one: version `3.10` is not 3.1."""

    text: str


def plain_scalar(text: str) -> Scalar:
    """The value of an unquoted scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _MAX_DIGITS or text[0] not in "+-.0123456789":
        return text
    if _INT.fullmatch(text):
        return _written_int(int(text), text)
    if _BASED.fullmatch(text):
        return _written_int(int(text, 0), text)
    # Infinities stay text: no key of ours takes one, and JSON has none.
    if _FLOAT.fullmatch(text) and abs(number := float(text)) != float("inf"):
        return _written_float(number, text)
    return text


def written(value: float) -> str:
    """A number as it stands in the file."""
    return str(getattr(value, "text", value))


def _written_int(value: int, text: str) -> int:
    if str(value) == text:
        return value
    number = WrittenInt(value)
    number.text = text
    return number


def _written_float(value: float, text: str) -> float:
    if str(value) == text:
        return value
    number = WrittenFloat(value)
    number.text = text
    return number
