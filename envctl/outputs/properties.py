"""Java properties: ISO 8859-1 with `\\u` escapes, which every `Properties.load` reads."""

from __future__ import annotations

from collections.abc import Mapping


def text(values: Mapping[str, str]) -> str:
    """Return *values* as properties, one on each line."""
    return "".join(f"{_escaped(key, True)}={_escaped(value, False)}\n" for key, value in values.items())


NAMED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"}


def _escaped(value: str, key: bool) -> str:
    return "".join(_character(c, key or index == 0) for index, c in enumerate(value))


def _character(char: str, leading: bool) -> str:
    if char in NAMED:
        return NAMED[char]
    if char in "=:#!" or (char == " " and leading):
        return "\\" + char
    if " " <= char <= "~":
        return char
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
