"""JSON as the matchers need it: exact numbers, and no more than the standard allows."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


def parse(text: str) -> Any:
    """The value of a JSON text, or ValueError. Fractions stay exact: 0.1 is not 0.10000000000000001."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write(value: object) -> str:
    """A parsed value as compact JSON text again."""
    if isinstance(value, Decimal):
        return str(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=float)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
