"""A Postman environment, which `newman run -e` reads and the application imports."""

from __future__ import annotations

import json
from collections.abc import Mapping


def text(values: Mapping[str, str]) -> str:
    """Return *values* as a Postman environment in JSON."""
    entries = [{"key": key, "value": value, "type": "default", "enabled": True} for key, value in values.items()]
    document = {"name": "envctl", "values": entries, "_postman_variable_scope": "environment"}
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
