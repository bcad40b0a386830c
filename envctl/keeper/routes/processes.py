"""Local processes, which the supervisor starts.

POST /v1/processes  {"name", "argv", "env", "cwd", "log", "user": uid or null, "limits": {"memory_bytes", "cpu"}, "stop_signal"}
                    201 {"pid", "since", "enforced": {"memory_bytes": "cgroup", "rlimit" or null, "cpu": "cgroup" or null}};
                    409 if a process of that name runs; 422 if it cannot start.
                    Its environment is `env`, ENVCTL_MARK and ENVCTL_PROCESS, and nothing else
GET /v1/processes   200 {name: {"pid", "running", "status": null while it runs, 128 + n after signal n, "since"}}
DELETE /v1/processes/{name}?grace=SECONDS
                    200 {"status"} once its whole tree is gone, also if it had ended before; 404 if no such process was started.
                    Without `grace`, the process is killed at once
GET /v1/exit-events 200, then a line {"name", "status"} for each process that ends, until the client closes the connection
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envctl.keeper.routing import Call, Route, grace, needed, optional, reply, signal_number
from envctl.servers.http.message import Response
from envctl.servers.http.wire import Refused

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper


def show(keeper: Keeper, _call: Call) -> Response:
    """Describe the processes."""
    return reply(keeper.processes.shown())


def start(keeper: Keeper, call: Call) -> Response:
    """Start a process."""
    name = needed(call.body, "name", str)
    if not name or "/" in name or "\0" in name:
        raise Refused(400, "the name of a process is missing")
    return reply(keeper.processes.start(name, _program(call.body)), 201)


def end(keeper: Keeper, call: Call) -> Response:
    """Stop a process."""
    return reply({"status": keeper.processes.stop(call.parameters["name"], grace(call.query.get("grace", "0")))})


def follow(keeper: Keeper, _call: Call) -> Response:
    """Stream the ends of processes."""
    return Response(200, take_over=keeper.exit_events.follow)


def _program(body: dict[str, Any]) -> dict[str, Any]:
    argv, env = needed(body, "argv", list), needed(body, "env", dict)
    if not argv or not all(isinstance(word, str) for word in [*argv, *env.values()]):
        raise Refused(400, "argv must be a list of strings, env an object of strings")
    return {
        "argv": argv,
        "env": env,
        "cwd": needed(body, "cwd", str),
        "log": needed(body, "log", str),
        "user": optional(body, "user", int),
        "limits": _limits(optional(body, "limits", dict) or {}),
        "stop_signal": signal_number(optional(body, "stop_signal", str) or "SIGTERM"),
    }


def _limits(limits: dict[str, Any]) -> dict[str, Any]:
    cpu = optional(limits, "cpu", float)
    memory = optional(limits, "memory_bytes", int)
    if any(value is not None and value <= 0 for value in (cpu, memory)):
        raise Refused(400, "limits must be above 0")
    return {"memory_bytes": memory, "cpu": cpu}


ROUTES = [
    Route("GET", "/v1/processes", show),
    Route("POST", "/v1/processes", start),
    Route("DELETE", "/v1/processes/{name}", end),
    Route("GET", "/v1/exit-events", follow),
]
