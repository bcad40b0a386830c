"""Merge a fragment from a definition into a rendered document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return *below* with the values of *above*.

    Maps are merged, a value of None removes its key, and containers with the same name are merged. Any other value replaces the old one.
    """
    found = dict(below)
    for key, value in above.items():
        known = found.get(key)
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(known, Mapping):
            found[key] = merged(known, value)
        elif key in ("containers", "initContainers") and isinstance(value, list) and isinstance(known, list):
            given = {item.get("name"): item for item in value}
            found[key] = [*(merged(item, given.pop(item["name"], {})) for item in known), *given.values()]
        else:
            found[key] = value
    return found
