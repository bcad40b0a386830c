"""GET /openapi.json: the routes for tests as an OpenAPI 3.1 document, from which clients can be generated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envctl.keeper.routing import TESTS, Call, Route, reply
from envctl.servers.http.message import Response

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper

Schema = dict[str, Any]
TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
VALUES = {"type": "object", "additionalProperties": True}


def _object(needed: tuple[str, ...] = (), **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, **({"required": list(needed)} if needed else {})}


LEASE = _object(("id", "service", "properties", "expires"), id=TEXT, service=TEXT, properties=VALUES, expires=TEXT)
SERVICES = _object(services={"type": "array", "items": TEXT, "description": "Only these services (default: all)."})
LEASES = {"type": "array", "items": LEASE}
POOLS = {"type": "array", "items": _object(service=TEXT, name=TEXT, ready=NUMBER, leased=NUMBER, kept=NUMBER, disk=NUMBER, memory=NUMBER)}
LANE = _object(("number", "outputs"), number={"type": "integer"}, outputs=VALUES)
ASKED = _object(
    ("service",),
    service={**TEXT, "description": "The server of which a unit is leased."},
    name={**TEXT, "description": "Which of its databases, buckets, ... (default: the first)."},
    ttl={"oneOf": [NUMBER, TEXT], "description": "Seconds, or a text such as 5m, after which the unit is taken back (default: 5m)."},
    wait={**NUMBER, "description": "Seconds to wait for a unit (default: 60)."},
    pid={"type": "integer", "description": "A process of this machine; the lease ends when it does."},
)


def _operation(summary: str, status: int, answer: Schema, body: Schema | None = None, *parameters: str) -> Schema:
    found: Schema = {
        "summary": summary,
        "responses": {
            str(status): {"description": "Done", "content": {"application/json": {"schema": answer}}},
            "default": {"description": "Refused", "content": {"application/json": {"schema": _object(error=TEXT, hint=TEXT)}}},
        },
    }
    if body is not None:
        found["requestBody"] = {"required": "required" in body, "content": {"application/json": {"schema": body}}}
    if parameters:
        found["parameters"] = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in parameters]
    return found


PATHS: Schema = {
    "/v1/keeper": {"get": _operation("Show the instance and when it expires", 200, _object(id=TEXT, expires={"type": ["string", "null"]}))},
    "/v1/leases": {
        "post": _operation("Lease a unit of a server", 201, LEASE, ASKED),
        "get": _operation("List the leases", 200, _object(leases=LEASES, pools=POOLS)),
    },
    "/v1/leases/{id}": {"delete": _operation("Return a unit", 200, LEASE, _object(keep=FLAG), "id")},
    "/v1/lanes": {"get": _operation("List the lanes", 200, {"type": "array", "items": LANE})},
    "/v1/lanes/{n}/reset": {"post": _operation("Reset a lane to the seeded state", 200, _object(), SERVICES, "n")},
    "/v1/checkpoints": {
        "post": _operation("Record what a test has changed in the data", 200, VALUES, _object(("test",), test=TEXT, lane=NUMBER)),
        "get": _operation("List the checkpoints", 200, {"type": "array", "items": VALUES}),
        "delete": _operation("Delete the checkpoints, and take the current data as the new starting point", 200, _object()),
    },
    "/v1/reset": {"post": _operation("Reset everything to the seeded state", 200, _object(), SERVICES)},
}
DOCUMENT: Schema = {
    "openapi": "3.1.0",
    "info": {"title": "envctl", "version": "1", "description": "Leases, lanes and resets of one instance, for its tests."},
    "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "ENVCTL_TOKEN"}}},
    "security": [{"token": []}],
    "paths": PATHS,
}


def show(_keeper: Keeper, _call: Call) -> Response:
    """Return the OpenAPI document."""
    return reply(DOCUMENT)


ROUTES = [Route("GET", "/openapi.json", show, TESTS)]
