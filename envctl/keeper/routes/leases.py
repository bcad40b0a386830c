"""Leases: a unit of a server for one test.

POST /v1/leases         {"service", "name": which of several databases or buckets, "ttl": seconds or "5m", "wait": seconds to wait for
                         a unit, "pid": a process whose end also ends the lease}; only "service" is required
                        201 {"id", "service", "properties": {"url": ...}, "expires": time stamp}; 404 if nothing of that name can be
                        leased; 503 if no unit became free in time
GET /v1/leases          200 {"leases": [as above], "pools": [{"service", "name", "ready", "leased", "kept",
                        "disk" and "memory": bytes of one unit}]}
DELETE /v1/leases/{id}  {"keep": true to keep the unit and its data} or no body -> 200 {..., "kept"}; 404 if there is no such lease
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from envctl.keeper.routing import TESTS, Call, Route, needed, only, optional, reply
from envctl.servers.http.message import Response
from envctl.servers.http.wire import Refused

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper

WAIT, LONGEST_WAIT = 60.0, 600.0
"""Seconds to wait for a unit: by default, and at most."""
LONGEST_TTL = 86400.0
"""The longest lifetime of a lease, in seconds."""
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "ms": 0.001}
"""The seconds of each unit of time."""


def take(keeper: Keeper, call: Call) -> Response:
    """Lease a unit."""
    only(call.body, "service", "name", "ttl", "wait", "pid")
    service, name = needed(call.body, "service", str), optional(call.body, "name", str)
    wait = optional(call.body, "wait", float)
    wait = WAIT if wait is None else min(max(wait, 0.0), LONGEST_WAIT)
    ttl, pid = seconds(call.body.get("ttl"), "ttl"), optional(call.body, "pid", int) or 0
    status, body = keeper.data.ask("lease", wait, service=service, name=name, ttl=ttl, wait=wait, pid=pid)
    return reply(body, status)


def show(keeper: Keeper, _call: Call) -> Response:
    """List the leases and the pools of units."""
    status, body = keeper.data.ask("list_leases")
    return reply(body, status)


def give_back(keeper: Keeper, call: Call) -> Response:
    """End a lease."""
    only(call.body, "keep")
    keep = optional(call.body, "keep", bool) or call.query.get("keep") == "true"
    status, body = keeper.data.ask("give_back", id=call.parameters["id"], keep=keep)
    return reply(body, status)


def seconds(told: object, key: str) -> float | None:
    """Return the seconds in a number or a text such as `5m`, at most LONGEST_TTL; None for None.

    Raises:
        Refused: *told* is neither, or 0 (400); the message names *key*.
    """
    if told is None:
        return None
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(ms|s|m|h)?", str(told)) if not isinstance(told, bool) else None
    if not found or not float(found[1]):
        raise Refused(400, f'{key} must be a number of seconds, or a text such as "5m"')
    return min(float(found[1]) * UNITS[found[2] or ""], LONGEST_TTL)


ROUTES = [
    Route("POST", "/v1/leases", take, TESTS),
    Route("GET", "/v1/leases", show, TESTS),
    Route("DELETE", "/v1/leases/{id}", give_back, TESTS),
]
