"""Points in time as people say them: `in 2 h`, `5 min ago`."""

from __future__ import annotations

from datetime import UTC, datetime

UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def relative(stamp: str | None, at: datetime | None = None) -> str:
    """A stamp of a record, seen from now; empty for none."""
    if not stamp:
        return ""
    seconds = (datetime.fromisoformat(stamp) - (at or datetime.now(UTC))).total_seconds()
    return f"in {_span(seconds)}" if seconds > 0 else f"{_span(-seconds)} ago"


def _span(seconds: float) -> str:
    """In one unit, of which there are at least two (or nearly), so that little is lost: 90 s, 45 min, 47 h, 3 d."""
    unit, size = next((each for each in UNITS if seconds >= 1.95 * each[1]), UNITS[-1])
    return f"{round(seconds / size)} {unit}"
