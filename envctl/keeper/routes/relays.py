"""Ports of this machine that lead to another address.

POST /v1/relays  {"listen": [host, port], "to": [host, port]} -> 201 {"port"}; 422 it cannot listen there
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envctl.keeper.checks import address
from envctl.keeper.relay import Relay
from envctl.keeper.routing import Call, Route, reply
from envctl.servers.http.message import Response
from envctl.servers.http.wire import Refused

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper


def listen(_keeper: Keeper, call: Call) -> Response:
    try:
        relay = Relay(address(call.body, "listen"), address(call.body, "to"))
    except (OSError, OverflowError) as error:
        raise Refused(422, f"cannot listen on {call.body['listen']}: {error}") from None
    relay.serve()
    return reply({"port": relay.port}, 201)


ROUTES = [Route("POST", "/v1/relays", listen)]
