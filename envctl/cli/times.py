"""Write points in time relative to now, as people do: `in 2 h`, `5 min ago`."""

from __future__ import annotations

from datetime import UTC, datetime

UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def relative(stamp: str | None, at: datetime | None = None) -> str:
    """Return a time stamp of a record (ISO 8601) relative to *at*, or to now; an empty text if there is no stamp."""
    if not stamp:
        return ""
    seconds = (datetime.fromisoformat(stamp) - (at or datetime.now(UTC))).total_seconds()
    return f"in {_span(seconds)}" if seconds > 0 else f"{_span(-seconds)} ago"


def _span(seconds: float) -> str:
    """Return *seconds* rounded to one unit, chosen so that the number is at least 2 where possible: 90 s, 45 min, 47 h, 3 d."""
    unit, size = next((each for each in UNITS if seconds >= 1.95 * each[1]), UNITS[-1])
    return f"{round(seconds / size)} {unit}"
