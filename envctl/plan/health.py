"""The readiness of a service as a command inside its container, for a Compose health check or a Kubernetes probe."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from envctl.definition.kinds import Kind
from envctl.definition.models import Ready
from envctl.plan.model import Check, ServicePlan
from envctl.plan.reading import split

COMPOSED_PATIENCE, SERVER_PATIENCE = 10.0, 45.0
"""The seconds that a service of a Compose file has to open its published ports, and that a known server has to answer on them."""
IDLE_PATIENCE = 1.0
"""The seconds that a service has to open its ports if its program only keeps the container running (`sleep infinity`)."""
NOTICED = 2.0
"""The minimum value of `ServicePlan.slow` with which a user notices that envctl waits for a server."""


def checks_of(kind: Kind, ready: Ready | None, ports: Mapping[str, int]) -> tuple[Check, ...]:
    """Return the checks of the kind and of the definition. A service with a port and without a check must accept connections."""
    given = _given(ready, str(kind.ready.get("probe", ""))) if ready is not None else []
    standard = _standard(kind)
    if kind.own and (given or not ports or kind.once):
        standard = []
    return tuple(standard + given) or ((Check("tcp"),) if ports and not kind.once else ())


def _standard(kind: Kind, **options: Any) -> list[Check]:
    return [Check(str(kind.ready["probe"]), {k: v for k, v in kind.ready.items() if k != "probe"} | options)] if kind.ready else []


def checks_of_composed(
    kind: Kind,
    ready: Ready | None,
    healthcheck: object,
    published: bool,
    seeded: bool,
    closed: Mapping[str, int] | None = None,
    itself: bool = True,
    idle: bool = False,
) -> tuple[Check, ...]:
    """Return the checks of the definition, or else the health check of the Compose file and the check of a known server.

    A check that envctl adds by itself has `patience`: a service that does not pass it within that time is up, as it is in Compose.
    The health check of a server is not enough, because it may pass while the server is still initialising its data and only accepts
    connections from inside its container.

    Args:
        healthcheck: the `healthcheck` of the Compose file, if it has one.
        published: whether the service publishes a TCP port.
        seeded: whether the service has seed steps.
        closed: the ports of a service that is unreachable from outside its networks. A program of its image checks them before the seeds.
        itself: whether the service seems to run the server of its kind. If so, envctl waits while no port is open yet (`silent`).
        idle: whether the program of the service only keeps the container running, and is not expected to open a port.
    """
    if ready is not None and (given := _given(ready, str(kind.ready.get("probe", "")))):
        return tuple(given)
    if kind.once:
        return ()
    server = not kind.own and bool(kind.ready)
    if seeded and server and closed is None:
        return checks_of(kind, None, {"main": 1} if published else {})
    # A health check may set only the interval: the command is then the image's, which may have none.
    asks = isinstance(healthcheck, Mapping) and healthcheck.get("test") and not healthcheck.get("disable")
    health = [Check("health")] if asks else []
    if closed is not None:
        inside = [Check("command", {"command": ["sh", "-c", _tcp(port)], "patience": SERVER_PATIENCE}) for port in [*closed.values()][:1]]
        return (*health, *(inside if seeded and server else ()))
    if server:
        silent = {"silent": SERVER_PATIENCE} if itself and not published else {}
        return (*health, *_standard(kind, patience=SERVER_PATIENCE if published else COMPOSED_PATIENCE, **silent))
    return tuple(health) or ((Check("tcp", {"patience": IDLE_PATIENCE if idle else COMPOSED_PATIENCE}),) if published else ())


def waited_for(services: Iterable[ServicePlan]) -> str:
    """Return a sentence about the slow servers of *services* for which Compose would not wait; empty if there are none."""
    asked = [each for each in services if each.from_compose and each.slow >= NOTICED and each.checks]
    names = [each.name for each in asked if all("patience" in check.options for check in each.checks)]
    they = "they answer" if len(names) > 1 else "it answers"
    return f"{', '.join(names)}: the file has no health check: `up` waits until {they}, Compose would not" if names else ""


def _given(ready: Ready, probe: str) -> list[Check]:
    port = {"port": ready.port} if ready.port is not None else {}
    found = []
    if ready.http is not None:
        status = {"status": ready.status} if ready.status is not None else {}
        found.append(Check("http", {"path": ready.http, **status, **port}))
    if ready.tcp:
        found.append(Check("tcp", port))
    if ready.command is not None:
        words = split(ready.command) if isinstance(ready.command, str) else list(ready.command)
        found.append(Check("command", {"command": words}))
    if ready.log is not None:
        found.append(Check("log", {"log": ready.log}))
    if ready.query is not None:
        found.append(Check("query", {"query": ready.query, "probe": probe}))
    return found


def healthcheck_of(checks: Sequence[Check], ports: Mapping[str, int]) -> tuple[str, ...]:
    """Return Compose's `test` for those checks that a program of common images can make; empty if there are none.

    The programs of an image are not known here. The command uses the first of wget, curl, nc, python3, node and bash that exists; if
    none exists, the check passes.
    """
    commands = [text for check in checks if (text := _command(check, ports))]
    return ("CMD-SHELL", " && ".join(f"{{ {text}; }}" for text in commands)) if commands else ()


def unexpressed(kind: Kind, checks: Sequence[Check], ports: Mapping[str, int]) -> list[str]:
    """Return the names of the probes that the rendered health check leaves out."""
    left = checks[1:] if kind.healthcheck else [check for check in checks if not _command(check, ports)]
    return [check.probe for check in left]


def _command(check: Check, ports: Mapping[str, int]) -> str:
    if check.probe == "http" and check.options.get("status") != "any":
        path = check.options.get("path", "/")
        return _http(f"http://127.0.0.1:{_port(check, ports)}{path}") if _usual(check.options.get("status")) else ""
    if check.probe in ("tcp", "http") and ports:
        return _tcp(_port(check, ports))
    if check.probe == "command":
        command = check.options["command"]
        return command if isinstance(command, str) else shlex.join(command)
    return ""


def _usual(status: Any) -> bool:
    """Return whether wget, curl and the other programs accept the expected status as a success. They treat 4xx and 5xx as failures."""
    given = status if isinstance(status, list | tuple) else [status]
    return all(each is None or 200 <= int(each) < 400 for each in given)


def _port(check: Check, ports: Mapping[str, int]) -> int:
    named: Any = check.options.get("port")
    if isinstance(named, int):
        return named
    return ports[named] if isinstance(named, str) and named in ports else next(iter(ports.values()))


def _http(url: str) -> str:
    quoted = shlex.quote(url)
    return _first_of(
        wget=f"wget -q -T 2 -O /dev/null {quoted}",
        curl=f"curl -fsS -m 2 -o /dev/null {quoted}",
        python3=f"python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)' {quoted}",
        node=f"node -e 'fetch(process.argv[1]).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))' {quoted}",
    )


_NODE_CONNECTS = 'require("net").connect(+process.argv[1], "127.0.0.1", () => process.exit(0)).on("error", () => process.exit(1))'


def _tcp(port: int) -> str:
    return _first_of(
        nc=f"nc -z 127.0.0.1 {port}",
        bash=f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'",
        python3=f"python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}), 2)'",
        node=f"node -e '{_NODE_CONNECTS}' {port}",
    )


def _first_of(**ways: str) -> str:
    branches = [f"if command -v {name} >/dev/null 2>&1; then {way}" for name, way in ways.items()]
    return "; el".join(branches) + "; fi"
