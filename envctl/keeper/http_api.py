"""What the keeper can be asked, on 127.0.0.1 and the port of the address file, with `Authorization: Bearer TOKEN`; JSON both ways.

GET /v1/keeper            200 {"id", "pid", "expires": stamp or null, "owned": bool, "memory_kb"}
POST /v1/expires          {"expires": "2026-11-22T10:00:00Z" or null} -> 200 {"expires"}
POST /v1/release          200; the owner's end means nothing any more
POST /v1/processes        {"name", "argv", "env", "cwd", "log", "user": uid or null, "limits": {"memory_bytes", "cpu"}, "stop_signal"}
                          201 {"pid", "since", "enforced": {"memory_bytes": "cgroup", "rlimit" or null, "cpu": "cgroup" or null}};
                          409 one of that name runs; 422 it cannot start. `env` is all it gets, beside ENVCTL_MARK and ENVCTL_PROCESS.
GET /v1/processes         200 {name: {"pid", "running", "status": null while it runs, 128 + n after signal n, "since"}}
DELETE /v1/processes/NAME?grace=SECONDS
                          200 {"status"} once nothing of its tree is left, however often; 404 none was started. No grace: killed at once
GET /v1/exit-events        200, then a line {"name", "status"} for every end of a process, until the client closes
POST /v1/relays           {"listen": [host, port], "to": [host, port]} -> 201 {"port"}; 422 it cannot listen there
PUT /v1/forwards          {"cluster": see cluster/api.py, "namespace",
                           "whole": false where the others stay,
                           "forwards": [{"name": "SERVICE/PORT", "selector": "a=b,c=d", "port", "listen": [host, port], "gate": bool}]}
                          200 {"forwards": {name: {"port"}}}, these and no others; 422 one cannot listen
GET /v1/forwards          200 {name: {"port", "pod": name or null, "state": "ready", "waiting" or "refused", "error"}}
POST /v1/forwards/approve {"name", "incarnation"} -> 200: it leads to that data from now on; 404 there is no such forward
POST /v1/stop             {"grace": {name: seconds}} -> 200 once nothing is left; the address file is gone, and so is the keeper after that

What is not 2xx is {"error": words}: 400, 401, 403 (another Host), 404, 405, 413 (16 MB), 503 (it is tearing down, or ending).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from envctl.keeper import system
from envctl.keeper.processes import Closed, Taken, Unknown
from envctl.keeper.relay import Relay
from envctl.keeper.spawn import CannotStart
from envctl.keeper.web import Answer, HttpRequest, Refused, stream_head

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper

T = TypeVar("T")


def seconds(stamp: str) -> float:
    """Since 1970.

    Raises:
        ValueError
    """
    moment = datetime.fromisoformat(stamp)
    if moment.tzinfo is None:
        raise ValueError("a stamp without a time zone")
    return moment.timestamp()


class Api:
    """The requests of a keeper; a method each."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self._routes: dict[tuple[str, ...], dict[str, Callable[[HttpRequest], Answer]]] = {
            ("v1", "keeper"): {"GET": self.show},
            ("v1", "expires"): {"POST": self.expire},
            ("v1", "release"): {"POST": self.release},
            ("v1", "processes"): {"GET": self.processes, "POST": self.start},
            ("v1", "exit-events"): {"GET": self.exit_events},
            ("v1", "relays"): {"POST": self.relay},
            ("v1", "forwards"): {"GET": self.forwards, "PUT": self.set_forwards},
            ("v1", "forwards", "approve"): {"POST": self.approve},
            ("v1", "stop"): {"POST": self.stop},
        }

    def __call__(self, request: HttpRequest) -> Answer:
        methods = self._routes.get(tuple(request.path), {})
        if request.path[:2] == ["v1", "processes"] and len(request.path) == 3 and request.path[2]:
            methods = {"DELETE": self.end}
        if not methods:
            raise Refused(404, "no such path")
        if request.method not in methods:
            raise Refused(405, f"it takes {' or '.join(methods)}")
        if self.keeper.tearing_down and request.path != ["v1", "keeper"]:
            raise Refused(503, "the instance is being torn down")
        try:
            return methods[request.method](request)
        except Closed as closed:
            raise Refused(503, str(closed)) from None

    def show(self, _request: HttpRequest) -> Answer:
        keeper = self.keeper
        shown = {"id": keeper.config.id, "pid": os.getpid(), "expires": keeper.expires, "owned": keeper.owned}
        return Answer(200, shown | {"memory_kb": system.memory_kb()})

    def expire(self, request: HttpRequest) -> Answer:
        if "expires" not in request.body:
            raise Refused(400, "expires is needed")
        stamp = _optional(request.body, "expires", str)
        try:
            self.keeper.expire(stamp)
        except ValueError:
            raise Refused(400, f"no time stamp: {stamp}") from None
        return Answer(200, {"expires": stamp})

    def release(self, _request: HttpRequest) -> Answer:
        self.keeper.release()
        return Answer()

    def processes(self, _request: HttpRequest) -> Answer:
        return Answer(200, self.keeper.processes.shown())

    def start(self, request: HttpRequest) -> Answer:
        name = _needed(request.body, "name", str)
        if not name or "/" in name or "\0" in name:
            raise Refused(400, "no name of a process")
        try:
            return Answer(201, self.keeper.processes.start(name, _process(request.body)))
        except Taken as taken:
            raise Refused(409, str(taken)) from None
        except CannotStart as error:
            raise Refused(422, str(error)) from None

    def end(self, request: HttpRequest) -> Answer:
        try:
            grace = float(request.query.get("grace", "0"))
        except ValueError:
            raise Refused(400, "grace is a number of seconds") from None
        try:
            return Answer(200, {"status": self.keeper.processes.stop(request.path[2], _finite(grace))})
        except Unknown as unknown:
            raise Refused(404, str(unknown)) from None

    def exit_events(self, _request: HttpRequest) -> Answer:
        return Answer(follow=lambda stream: self.keeper.exit_events.follow(stream, stream_head()))

    def relay(self, request: HttpRequest) -> Answer:
        try:
            relay = Relay(_address(request.body, "listen"), _address(request.body, "to"))
        except (OSError, OverflowError) as error:
            raise Refused(422, f"cannot listen on {request.body['listen']}: {error}") from None
        relay.serve()
        return Answer(201, {"port": relay.port})

    def forwards(self, _request: HttpRequest) -> Answer:
        return Answer(200, self.keeper.forwards_shown)

    def set_forwards(self, request: HttpRequest) -> Answer:
        cluster, namespace = _needed(request.body, "cluster", dict), _needed(request.body, "namespace", str)
        wanted = _needed(request.body, "forwards", list)
        if not isinstance(cluster.get("server"), str) or not all(map(_is_forward, wanted)):
            raise Refused(400, "cluster has a server; each forward a name, a selector, a port and where to listen")
        try:
            made = self.keeper.forwards.set(cluster, namespace, wanted, request.body.get("whole") is not False)
        except (OSError, OverflowError) as error:
            raise Refused(422, f"cannot listen: {error}") from None
        return Answer(200, {"forwards": {name: {"port": forward.port} for name, forward in made.items()}})

    def approve(self, request: HttpRequest) -> Answer:
        name = _needed(request.body, "name", str)
        if not self.keeper.forwards.approve(name, _needed(request.body, "incarnation", str)):
            raise Refused(404, f"no forward {name}")
        return Answer()

    def stop(self, request: HttpRequest) -> Answer:
        graces = _optional(request.body, "grace", dict) or {}
        if not all(isinstance(grace, int | float) for grace in graces.values()):
            raise Refused(400, "grace holds numbers of seconds")
        self.keeper.stop({name: _finite(grace) for name, grace in graces.items()})
        return Answer(then=self.keeper.leave)


def _is_forward(told: Any) -> bool:
    match told:
        case {"name": str(), "selector": str(), "port": int(), "listen": [str(), int()]}:
            return True
    return False


def _process(body: dict[str, Any]) -> dict[str, Any]:
    argv, env = _needed(body, "argv", list), _needed(body, "env", dict)
    if not argv or not all(isinstance(word, str) for word in [*argv, *env.values()]):
        raise Refused(400, "argv is a list of words, env an object of texts")
    return {
        "argv": argv,
        "env": env,
        "cwd": _needed(body, "cwd", str),
        "log": _needed(body, "log", str),
        "user": _optional(body, "user", int),
        "limits": _limits(_optional(body, "limits", dict) or {}),
        "stop_signal": _signal(_optional(body, "stop_signal", str) or "SIGTERM"),
    }


def _limits(limits: dict[str, Any]) -> dict[str, Any]:
    cpu = _optional(limits, "cpu", float)
    memory = _optional(limits, "memory_bytes", int)
    if any(value is not None and value <= 0 for value in (cpu, memory)):
        raise Refused(400, "limits are above 0")
    return {"memory_bytes": memory, "cpu": cpu}


def _signal(name: str) -> int:
    try:
        return signal.Signals[name].value
    except KeyError:
        raise Refused(400, f"no signal {name}") from None


def _address(body: dict[str, Any], key: str) -> tuple[str, int]:
    match _needed(body, key, list):
        case [str(host), int(port)] if not isinstance(port, bool):
            return host, port
    raise Refused(400, f"{key} is [host, port]")


def _needed(body: dict[str, Any], key: str, kind: type[T]) -> T:
    value = _optional(body, key, kind)
    if value is None:
        raise Refused(400, f"{key} is needed")
    return value


def _optional(body: dict[str, Any], key: str, kind: type[T]) -> T | None:
    value = body.get(key)
    if value is None:
        return None
    if kind is float and type(value) is int:
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, kind):
        raise Refused(400, f"{key} is of type {kind.__name__}, not {type(value).__name__}")
    return value


def _finite(grace: float) -> float:
    """A day at most, what is no number counts as none: a timer has to be able to take it."""
    return min(grace, 86400.0) if grace > 0 else 0.0
