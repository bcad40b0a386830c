"""Checkpoints: which changes of the data each test leaves behind.

POST /v1/checkpoints  {"test": name, "lane": number, 1 by default}: record what has changed since the last checkpoint
                      200 {"test", "lane", "touched": [tests whose data was changed],
                           "changes": {service: {thing: {"added", "changed", "removed", "items": {...}}}}}
                      (with an empty name, the changes are attributed to no test and not listed)
GET /v1/checkpoints   200 [all checkpoints]
DELETE /v1/checkpoints  200 {}: delete all checkpoints; the current data is the new starting point
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envctl.keeper.routing import TESTS, Call, Route, needed, only, optional, reply
from envctl.servers.http.message import Response

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper


def take(keeper: Keeper, call: Call) -> Response:
    """Record a checkpoint after a test."""
    only(call.body, "test", "lane")
    lane = optional(call.body, "lane", int)
    status, body = keeper.data.ask("checkpoint", test=needed(call.body, "test", str), lane=1 if lane is None else lane)
    return reply(body, status)


def show(keeper: Keeper, _call: Call) -> Response:
    """List the checkpoints."""
    status, body = keeper.data.ask("checkpoints")
    return reply(body, status)


def begin(keeper: Keeper, _call: Call) -> Response:
    """Delete the checkpoints and take the current data as the new starting point."""
    status, body = keeper.data.ask("begin_checkpoints")
    return reply(body, status)


ROUTES = [
    Route("POST", "/v1/checkpoints", take, TESTS),
    Route("GET", "/v1/checkpoints", show, TESTS),
    Route("DELETE", "/v1/checkpoints", begin, TESTS),
]
