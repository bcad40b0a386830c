"""Lanes, and resets of data to the seeded state. The services that use the data keep running.

GET /v1/lanes              200 [{"number", "outputs": {name: value}}]; an empty list without lanes
POST /v1/lanes/{n}/reset   {"services": [names]}, or no body for all services -> 200 {}; 404 if there is no such lane
POST /v1/reset             {"services": [names]}, or no body for all services -> 200 {}
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from envctl.keeper.routing import TESTS, Call, Route, only, optional, reply
from envctl.servers.http.message import Response
from envctl.servers.http.wire import Refused

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper

RESET = 600.0
"""Seconds that a reset may take: data that no driver can reset is seeded again."""


def show(keeper: Keeper, _call: Call) -> Response:
    """List the lanes with their outputs."""
    status, body = keeper.data.ask("lanes")
    return reply(body, status)


def reset_lane(keeper: Keeper, call: Call) -> Response:
    """Reset the data of one lane."""
    number = call.parameters["n"]
    if not re.fullmatch("[0-9]{1,9}", number):
        raise Refused(404, f"there is no lane {number}")
    return _reset(keeper, call, int(number))


def reset(keeper: Keeper, call: Call) -> Response:
    """Reset the data of the whole instance."""
    return _reset(keeper, call, None)


def _reset(keeper: Keeper, call: Call, lane: int | None) -> Response:
    only(call.body, "services")
    services = optional(call.body, "services", list) or []
    if not all(isinstance(name, str) for name in services):
        raise Refused(400, "services must be a list of names")
    status, body = keeper.data.ask("reset", RESET, services=services, lane=lane)
    return reply(body, status)


ROUTES = [
    Route("GET", "/v1/lanes", show, TESTS),
    Route("POST", "/v1/lanes/{n}/reset", reset_lane, TESTS),
    Route("POST", "/v1/reset", reset, TESTS),
]
