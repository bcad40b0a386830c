"""The keeper itself, and the lifetime of the instance.

GET /v1/keeper    200 {"id", "expires": time stamp or null}, and with the scope `control` also {"pid", "owned": bool, "memory_kb"}
POST /v1/expires  {"expires": "2026-11-22T10:00:00Z" or null} -> 200 {"expires"}
POST /v1/release  200; the keeper ignores the owner's end from now on
POST /v1/stop     {"grace": {name: seconds}} -> 200 once all processes have ended and the address file is removed; then the keeper ends
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from envctl.keeper import system
from envctl.keeper.routing import CONTROL, TESTS, Call, Route, grace, optional, reply
from envctl.servers.http.message import Response
from envctl.servers.http.wire import Refused

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper


def show(keeper: Keeper, call: Call) -> Response:
    """Describe the keeper and the lifetime of the instance."""
    shown: dict[str, Any] = {"id": keeper.config.id, "expires": keeper.expires}
    if CONTROL in call.scopes:
        shown |= {"pid": os.getpid(), "owned": keeper.owner.watched, "memory_kb": system.memory_kb()}
    return reply(shown)


def expire(keeper: Keeper, call: Call) -> Response:
    """Set the time at which the instance expires."""
    if "expires" not in call.body:
        raise Refused(400, "expires is missing")
    stamp = optional(call.body, "expires", str)
    try:
        keeper.expire(stamp)
    except ValueError:
        raise Refused(400, f"not a time stamp: {stamp}") from None
    return reply({"expires": stamp})


def release(keeper: Keeper, _call: Call) -> Response:
    """Let the instance outlive its owner."""
    keeper.release()
    return reply()


def stop(keeper: Keeper, call: Call) -> Response:
    """Stop everything that the keeper has started, then the keeper."""
    graces = optional(call.body, "grace", dict) or {}
    keeper.stop({name: grace(seconds) for name, seconds in graces.items()})
    return reply(then=keeper.leave)


ROUTES = [
    Route("GET", "/v1/keeper", show, TESTS, to_the_last=True),
    Route("POST", "/v1/expires", expire),
    Route("POST", "/v1/release", release),
    Route("POST", "/v1/stop", stop),
]
