"""Amounts as people write them: durations (`90`, `90s`, `15m`, `1h30m`, `1d`), and memory (`256M`, `1Gi`)."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")


def parse_duration(value: object) -> float:
    """Seconds of *value*: a number of seconds, or text with units.

    Raises:
        ValueError: it is neither, negative, or longer than three centuries.
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
    """Bytes of a *text* that somebody has written.

    Raises:
        ValueError: it is no size.
    """
    if not _WRITTEN.fullmatch(text):
        raise ValueError(f"{text!r} is not a size; write it like 5G or 800M")
    return bytes_of(text)


def bytes_of(size: str) -> int:
    """The bytes of *size*: `256M`, `256MiB` and `256Mi` are the same."""
    match = _SIZE.fullmatch(size.lower())
    assert match is not None, size
    return round(float(match[1]) * (1 << 10 * " kmg".index(match[2] or " ")))


def size_text(size: int, unit: str = "") -> str:
    """*size* bytes in the largest of K, M and G that divides it, with *unit* behind the letter (`i`: as Kubernetes writes it)."""
    for letter, factor in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size and size % factor == 0:
            return f"{size // factor}{letter}{unit}"
    return str(size)
