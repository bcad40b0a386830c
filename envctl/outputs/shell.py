"""`export` lines that any POSIX shell evaluates to the same bytes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping


def text(values: Mapping[str, str]) -> str:
    """Return an `export` line for each of *values*."""
    return "".join(f"export {key}={shlex.quote(value)}\n" for key, value in values.items())
