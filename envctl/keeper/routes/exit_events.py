"""The ends of local processes, as they come.

GET /v1/exit-events  200, then a line {"name", "status"} for every end of a process, until the client closes
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envctl.keeper.routing import Call, Route
from envctl.servers.http.message import Response

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper


def follow(keeper: Keeper, _call: Call) -> Response:
    return Response(200, take_over=keeper.exit_events.follow)


ROUTES = [Route("GET", "/v1/exit-events", follow)]
