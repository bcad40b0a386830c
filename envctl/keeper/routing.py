"""The parts of a route: its method, path, function and scope; and functions that check the arguments of a request.

A check returns the value, or raises Refused (400) with a text that says what is expected.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from envctl.servers.http.message import Response
from envctl.servers.http.wire import Refused

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper

CONTROL = "control"
"""The scope of envctl's own commands: they may do everything."""
TESTS = "tests"
"""The scope of tests. Its routes use and reset data. None of them starts or stops processes, or changes the instance's lifetime."""
SCOPES = (CONTROL, TESTS)
TORN_DOWN = "the instance is being torn down"
"""The error of a request that is refused during teardown. Clients compare the text, as other errors have the status 503 as well."""
LONGEST_GRACE = 86400.0
"""The longest grace of a process, in seconds."""
T = TypeVar("T")


class Call(NamedTuple):
    """The arguments of a request that was admitted."""

    parameters: dict[str, str]
    """The parts of the path at the places of the route's {names}."""
    query: dict[str, str]
    """The last value of each query parameter."""
    body: dict[str, Any]
    """The JSON object of the body; empty if the request has no body."""
    scopes: Collection[str]
    """The scopes of the request's token."""


class Route(NamedTuple):
    """A method and a path, with the function that answers requests for them."""

    method: str
    path: str
    """The path, such as `/v1/processes/{name}`. A parameter stands for one part of the path, which must not be empty."""
    answer: Callable[[Keeper, Call], Response]
    scope: str = CONTROL
    """The scope that the request's token needs."""
    to_the_last: bool = False
    """Whether the route also answers while the instance is being removed."""

    def parameters(self, parts: list[str]) -> dict[str, str] | None:
        """Return the parameters in a path that was split at its slashes; None if this route has another path."""
        own = self.path.split("/")[1:]
        if len(own) != len(parts):
            return None
        found = {}
        for mine, given in zip(own, parts, strict=True):
            if mine.startswith("{") and given:
                found[mine.strip("{}")] = given
            elif mine != given:
                return None
        return found


def reply(body: object = None, status: int = 200, then: Callable[[], object] | None = None) -> Response:
    """Return a response with a JSON body, {} if *body* is None. *then* is called after the response was sent."""
    content = json.dumps({} if body is None else body).encode()
    return Response(status, headers=(("Content-Type", "application/json"),), body=content, then=then)


def only(body: dict[str, Any], *keys: str) -> None:
    """Check that *body* has no other keys than *keys*. A misspelt key would otherwise be ignored without notice.

    Raises:
        Refused: *body* has another key (400).
    """
    for key in body:
        if key not in keys:
            raise Refused(400, f"unknown key {key}; known: {', '.join(keys)}")


def needed(body: dict[str, Any], key: str, kind: type[T]) -> T:
    """Return the value of a required *key*.

    Raises:
        Refused: the key is missing or null, or its value has another type than *kind* (400).
    """
    value = optional(body, key, kind)
    if value is None:
        raise Refused(400, f"{key} is missing")
    return value


def optional(body: dict[str, Any], key: str, kind: type[T]) -> T | None:
    """Return the value of *key*, or None if it is missing or null. A whole number is accepted as a float, a boolean is not.

    Raises:
        Refused: the value has another type than *kind* (400).
    """
    value = body.get(key)
    if value is None:
        return None
    if kind is float and type(value) is int:
        value = float(value)
    if isinstance(value, bool) is not (kind is bool) or not isinstance(value, kind):
        raise Refused(400, f"{key} must be of type {kind.__name__}, not {type(value).__name__}")
    return value


def address(body: dict[str, Any], key: str) -> tuple[str, int]:
    """Return the host and the port under a required *key*.

    Raises:
        Refused: the value is not [host, port] (400).
    """
    match needed(body, key, list):
        case [str(host), int(port)] if not isinstance(port, bool):
            return host, port
    raise Refused(400, f"{key} must be [host, port]")


def signal_number(name: str) -> int:
    """Return the number of a signal such as `SIGTERM`.

    Raises:
        Refused: there is no signal of that name (400).
    """
    try:
        return signal.Signals[name].value
    except KeyError:
        raise Refused(400, f"there is no signal {name}") from None


def grace(told: object) -> float:
    """Return seconds that are given as a number or a text, limited to the range from 0 to LONGEST_GRACE, which every timer accepts.

    Raises:
        Refused: the value is not a number (400).
    """
    try:
        seconds = float(told)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise Refused(400, "grace must be a number of seconds") from None
    return min(seconds, LONGEST_GRACE) if seconds > 0 else 0.0


def timestamp(stamp: str) -> float:
    """Return the seconds since 1970 of an ISO 8601 time stamp.

    Raises:
        ValueError: *stamp* is not a time stamp, or it has no time zone.
    """
    moment = datetime.fromisoformat(stamp)
    if moment.tzinfo is None:
        raise ValueError("a time stamp without a time zone")
    return moment.timestamp()
