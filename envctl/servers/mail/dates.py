"""Dates in headers, and as JSON has them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def parse(text: str) -> datetime | None:
    """The moment that a header tells, in whichever of the usual forms; UTC where it names no zone."""
    for reading in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = reading(text.strip())
            return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def now() -> datetime:
    """This moment."""
    return datetime.now(UTC)


def shown(moment: datetime) -> str:
    """As JavaScript writes it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
