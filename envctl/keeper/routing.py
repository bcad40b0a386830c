"""What a route is made of: a method, a path with parameters, the function that answers, the scope that it takes; and checks for it.

A check gives the value back, or refuses the request (400) and says what would be right.
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
"""Everything that our own commands do."""
TESTS = "tests"
"""What a test may do: nothing that starts a program, or that ends or changes what others use."""
SCOPES = (CONTROL, TESTS)
TORN_DOWN = "the instance is being torn down"
"""How a request is refused then; other refusals have the status 503, too."""
LONGEST_GRACE = 86400.0
T = TypeVar("T")


class Call(NamedTuple):
    """A request that was admitted."""

    parameters: dict[str, str]
    """What the path has in the places of the route's {names}."""
    query: dict[str, str]
    """The last value of each parameter behind the question mark."""
    body: dict[str, Any]
    """The JSON object that was sent; an empty one where nothing was."""
    scopes: Collection[str]
    """Of its token."""


class Route(NamedTuple):
    method: str
    path: str
    """Such as `/v1/processes/{name}`; a parameter is one part of a path, and not empty."""
    answer: Callable[[Keeper, Call], Response]
    scope: str = CONTROL
    """What a token has to have."""
    to_the_last: bool = False
    """It is answered while the instance is being torn down, too."""

    def parameters(self, parts: list[str]) -> dict[str, str] | None:
        """Those of a path, given in its parts; None where this route is about another path."""
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
    """An answer in JSON, an empty object where there is nothing to say; *then* is called after it."""
    content = json.dumps({} if body is None else body).encode()
    return Response(status, headers=(("Content-Type", "application/json"),), body=content, then=then)


def only(body: dict[str, Any], *keys: str) -> None:
    """Whatever else is given is misspelt: nobody would notice that it is left out."""
    for key in body:
        if key not in keys:
            raise Refused(400, f"{key} is not known here; there is {', '.join(keys)}")


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
