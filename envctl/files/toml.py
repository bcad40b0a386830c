"""Parse untrusted TOML: text that would keep Python's parser busy for too long, or nest too deeply, raises an ordinary error."""

from __future__ import annotations

import tomllib
from typing import Any

MOST_WORK = 4_000_000
"""The maximum sum of the squared numbers of dots per line: the time to parse a key `a.b.c...` grows with the square of its length."""


def parse_toml(text: str) -> dict[str, Any]:
    """Parse *text*.

    Raises:
        ValueError: *text* is not valid TOML, has keys of too many parts, or is nested too deeply.
    """
    if sum(line.count(".") ** 2 for line in text.split("\n")) > MOST_WORK:
        raise ValueError("a key has too many parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
