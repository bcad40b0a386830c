"""`karate-config.js`, or `karate-config-NAME.js` for `karate.env=NAME`: a function that returns the values."""

from __future__ import annotations

import json
from collections.abc import Mapping


def text(values: Mapping[str, str]) -> str:
    """Return *values* as a JavaScript function."""
    # ASCII, because the JVM may read the file in the encoding of its platform.
    return f"function fn() {{\n  return {json.dumps(dict(values), indent=2)};\n}}\n"
