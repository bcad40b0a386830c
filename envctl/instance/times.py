"""Points in time as they are kept: `2026-11-22T10:00:00Z`, which sort as they follow each other."""

from __future__ import annotations

import time
from datetime import UTC, datetime

STAMP = "%Y-%m-%dT%H:%M:%SZ"


def stamp(seconds: float) -> str:
    """*seconds* since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime(STAMP)


def now(after: float = 0.0) -> str:
    """*after* seconds from now."""
    return stamp(time.time() + after)
