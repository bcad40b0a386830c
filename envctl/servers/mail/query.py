"""The query of `GET /email`: members by dotted paths, and how many to skip."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any


def select(documents: Sequence[dict[str, Any]], query: dict[str, list[str]]) -> list[dict[str, Any]]:
    """The documents that have every value that the query names."""
    wanted = {path: values for path, values in query.items() if path != "skip"}
    found = [document for document in documents if all(_has(document, path, values) for path, values in wanted.items())]
    number = re.match(r"\s*([+-]?\d{1,9})", next(iter(query.get("skip", ())), ""))
    return found[int(number[1]) if number else 0 :]


def _has(document: dict[str, Any], path: str, values: list[str]) -> bool:
    if len(values) > 1:
        return False  # a list, which equals nothing
    found = _lookup(document, path.split("."))
    return values[0] in found if isinstance(found, list) else bool(found == values[0])


def _lookup(value: Any, path: list[str]) -> Any:
    if isinstance(value, list):
        return [_lookup(member, path) for member in value]
    found = value.get(path[0]) if isinstance(value, dict) else None
    return found if not found or len(path) == 1 else _lookup(found, path[1:])
