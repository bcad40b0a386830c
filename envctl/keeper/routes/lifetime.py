"""How long the instance lives.

POST /v1/expires  {"expires": "2026-11-22T10:00:00Z" or null} -> 200 {"expires"}
POST /v1/release  200; the owner's end means nothing any more
POST /v1/stop     {"grace": {name: seconds}} -> 200 once nothing is left; the address file is gone, and so is the keeper after that
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envctl.keeper.checks import grace, optional
from envctl.keeper.routing import Call, Route, reply
from envctl.servers.http.message import Response
from envctl.servers.http.wire import Refused

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper


def expire(keeper: Keeper, call: Call) -> Response:
    if "expires" not in call.body:
        raise Refused(400, "expires is needed")
    stamp = optional(call.body, "expires", str)
    try:
        keeper.expire(stamp)
    except ValueError:
        raise Refused(400, f"no time stamp: {stamp}") from None
    return reply({"expires": stamp})


def release(keeper: Keeper, _call: Call) -> Response:
    keeper.release()
    return reply()


def stop(keeper: Keeper, call: Call) -> Response:
    graces = optional(call.body, "grace", dict) or {}
    keeper.stop({name: grace(seconds) for name, seconds in graces.items()})
    return reply(then=keeper.leave)


ROUTES = [Route("POST", "/v1/expires", expire), Route("POST", "/v1/release", release), Route("POST", "/v1/stop", stop)]
