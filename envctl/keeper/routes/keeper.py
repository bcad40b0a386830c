"""The keeper itself.

GET /v1/keeper  200 {"id", "expires": stamp or null}, and for control also {"pid", "owned": bool, "memory_kb"}
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from envctl.keeper import system
from envctl.keeper.routing import Call, Route, reply
from envctl.keeper.tokens import CONTROL, TESTS
from envctl.servers.http.message import Response

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper


def show(keeper: Keeper, call: Call) -> Response:
    shown: dict[str, Any] = {"id": keeper.config.id, "expires": keeper.expires}
    if CONTROL in call.scopes:
        shown |= {"pid": os.getpid(), "owned": keeper.owner.watched, "memory_kb": system.memory_kb()}
    return reply(shown)


ROUTES = [Route("GET", "/v1/keeper", show, TESTS, to_the_last=True)]
