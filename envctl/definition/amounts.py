"""Parsing of amounts as users write them: durations (`90`, `90s`, `15m`, `1h30m`, `1d`), and memory (`256M`, `1Gi`)."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")


def parse_duration(value: object) -> float:
    """Return the seconds of *value*, which is a number of seconds, or a text with units.

    Raises:
        ValueError: *value* is not a duration, is negative, or is longer than three centuries.
    """
    seconds = _seconds(value)
    if seconds is None or not 0 <= seconds < 1e10:
        raise ValueError(f"{value!r} is not a duration; write it like 30s, 15m, 2h or 1h30m")
    return seconds


def _seconds(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value.strip()):
        return float(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))
    return None


_SIZE = re.compile(r"([0-9.]+)([kmg]?)i?b?")


_WRITTEN = re.compile(r"\d{1,9}(\.\d{1,3})?[kmg]?(i?b)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return the bytes of a *text* that a user has written.

    Raises:
        ValueError: *text* is not a size.
    """
    if not _WRITTEN.fullmatch(text):
        raise ValueError(f"{text!r} is not a size; write it like 5G or 800M")
    return bytes_of(text)


def bytes_of(size: str) -> int:
    """Return the bytes of *size*, which must be valid. `256M`, `256MiB` and `256Mi` are the same."""
    match = _SIZE.fullmatch(size.lower())
    assert match is not None, size
    return round(float(match[1]) * (1 << 10 * " kmg".index(match[2] or " ")))


def size_text(size: int, unit: str = "") -> str:
    """Return *size* bytes as text, in the largest of K, M and G that divides it. *unit* follows the letter (`i` for Kubernetes)."""
    for letter, factor in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size and size % factor == 0:
            return f"{size // factor}{letter}{unit}"
    return str(size)
