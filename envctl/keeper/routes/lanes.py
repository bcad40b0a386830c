"""Lanes, and back to the seeded state; whoever uses the data goes on running.

GET /v1/lanes              200 [{"number", "outputs": {name: value}}]; an empty list where there are none
POST /v1/lanes/{n}/reset   {"services": [names]} or nothing -> 200 {}; 404 there is no such lane
POST /v1/reset             {"services": [names]} or nothing: everything -> 200 {}
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
"""Seconds for a reset: what no driver can bring back is seeded again."""


def show(keeper: Keeper, _call: Call) -> Response:
    status, body = keeper.data.ask("lanes")
    return reply(body, status)


def reset_lane(keeper: Keeper, call: Call) -> Response:
    number = call.parameters["n"]
    if not re.fullmatch("[0-9]{1,9}", number):
        raise Refused(404, f"there is no lane {number}")
    return _reset(keeper, call, int(number))


def reset(keeper: Keeper, call: Call) -> Response:
    return _reset(keeper, call, None)


def _reset(keeper: Keeper, call: Call, lane: int | None) -> Response:
    only(call.body, "services")
    services = optional(call.body, "services", list) or []
    if not all(isinstance(name, str) for name in services):
        raise Refused(400, "services is a list of names")
    status, body = keeper.data.ask("reset", RESET, services=services, lane=lane)
    return reply(body, status)


ROUTES = [
    Route("GET", "/v1/lanes", show, TESTS),
    Route("POST", "/v1/lanes/{n}/reset", reset_lane, TESTS),
    Route("POST", "/v1/reset", reset, TESTS),
]
