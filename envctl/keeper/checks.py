"""What a route may be told: each check gives the value back, or refuses the request (400) and says what would be right."""

from __future__ import annotations

import signal
from datetime import datetime
from typing import Any, TypeVar

from envctl.servers.http.wire import Refused

T = TypeVar("T")
LONGEST_GRACE = 86400.0


def needed(body: dict[str, Any], key: str, kind: type[T]) -> T:
    """What stands under *key*, which has to be there."""
    value = optional(body, key, kind)
    if value is None:
        raise Refused(400, f"{key} is needed")
    return value


def optional(body: dict[str, Any], key: str, kind: type[T]) -> T | None:
    """What stands under *key*; None where nothing does, or null. A whole number is a float as well; true is no number."""
    value = body.get(key)
    if value is None:
        return None
    if kind is float and type(value) is int:
        value = float(value)
    if isinstance(value, bool) is not (kind is bool) or not isinstance(value, kind):
        raise Refused(400, f"{key} is of type {kind.__name__}, not {type(value).__name__}")
    return value


def address(body: dict[str, Any], key: str) -> tuple[str, int]:
    match needed(body, key, list):
        case [str(host), int(port)] if not isinstance(port, bool):
            return host, port
    raise Refused(400, f"{key} is [host, port]")


def signal_number(name: str) -> int:
    try:
        return signal.Signals[name].value
    except KeyError:
        raise Refused(400, f"no signal {name}") from None


def grace(told: object) -> float:
    """Seconds, given as a number or as a text: a day at most, as a timer has to be able to take it; what is not above 0 is 0."""
    try:
        seconds = float(told)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise Refused(400, "grace is a number of seconds") from None
    return min(seconds, LONGEST_GRACE) if seconds > 0 else 0.0


def timestamp(stamp: str) -> float:
    """The seconds since 1970 of a time stamp in ISO 8601, which names its time zone.

    Raises:
        ValueError
    """
    moment = datetime.fromisoformat(stamp)
    if moment.tzinfo is None:
        raise ValueError("a time stamp without a time zone")
    return moment.timestamp()
