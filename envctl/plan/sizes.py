"""Amounts of memory as Compose writes them, and as bytes."""

from __future__ import annotations

import re

_SIZE = re.compile(r"([0-9.]+)([kmg]?)i?b?")


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
