"""One JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping


def text(values: Mapping[str, str]) -> str:
    """Return *values* as one JSON object."""
    return json.dumps(dict(values), ensure_ascii=False, indent=2) + "\n"
