"""Ports of this machine that lead to another address (relays) or to pods (forwards).

POST /v1/relays           {"listen": [host, port], "to": [host, port]} -> 201 {"port"}; 422 if the relay cannot listen there
DELETE /v1/relays         {"listen": [host, port]} -> 200, even if there is no such relay
PUT /v1/forwards          {"cluster": see cluster/api.py, "namespace",
                           "whole": false to keep the forwards that are not listed,
                           "forwards": [{"name": "SERVICE/PORT", "selector": "a=b,c=d", "port", "listen": [host, port],
                                         "needs_approval": bool}]}
                          200 {"forwards": {name: {"port"}}}, all forwards; 422 if a forward cannot listen
GET /v1/forwards          200 {name: {"port", "pod": name or null, "state": "ready", "waiting" or "refused", "error"}}
POST /v1/forwards/approve {"name", "data_id"} -> 200: the forward accepts connections to that data from now on; 404 if there is none
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envctl.keeper.relay import Relay
from envctl.keeper.routing import Call, Route, address, needed, reply
from envctl.servers.http.message import Response
from envctl.servers.http.wire import Refused

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper


def relay(keeper: Keeper, call: Call) -> Response:
    """Start a relay."""
    try:
        made = Relay(address(call.body, "listen"), address(call.body, "to"))
    except (OSError, OverflowError) as error:
        raise Refused(422, f"cannot listen on {call.body['listen']}: {error}") from None
    keeper.relays[call.body["listen"][0], made.port] = made
    return reply({"port": made.port}, 201)


def unrelay(keeper: Keeper, call: Call) -> Response:
    """Close a relay."""
    if made := keeper.relays.pop(address(call.body, "listen"), None):
        made.close()
    return reply()


def show(keeper: Keeper, _call: Call) -> Response:
    """Describe the forwards."""
    return reply(keeper.forwards_shown)


def set_them(keeper: Keeper, call: Call) -> Response:
    """Set the forwards."""
    cluster, namespace = needed(call.body, "cluster", dict), needed(call.body, "namespace", str)
    wanted = needed(call.body, "forwards", list)
    if not isinstance(cluster.get("server"), str) or not all(map(_is_forward, wanted)):
        raise Refused(400, "cluster needs a server; each forward needs a name, a selector, a port and an address to listen on")
    try:
        made = keeper.forwards.set(cluster, namespace, wanted, call.body.get("whole") is not False)
    except (OSError, OverflowError) as error:
        raise Refused(422, f"cannot listen: {error}") from None
    return reply({"forwards": {name: {"port": forward.port} for name, forward in made.items()}})


def approve(keeper: Keeper, call: Call) -> Response:
    """Let a forward lead to data that was just seeded."""
    name = needed(call.body, "name", str)
    if not keeper.forwards.approve(name, needed(call.body, "data_id", str)):
        raise Refused(404, f"there is no forward {name}")
    return reply()


def _is_forward(told: Any) -> bool:
    match told:
        case {"name": str(), "selector": str(), "port": int(), "listen": [str(), int()]}:
            return True
    return False


ROUTES = [
    Route("POST", "/v1/relays", relay),
    Route("DELETE", "/v1/relays", unrelay),
    Route("GET", "/v1/forwards", show),
    Route("PUT", "/v1/forwards", set_them),
    Route("POST", "/v1/forwards/approve", approve),
]
