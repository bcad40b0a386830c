"""The readiness of a service as a command inside its container, for a Compose healthcheck or a Kubernetes probe."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from envctl.definition.kinds import Kind
from envctl.definition.models import Ready
from envctl.plan.model import Check, ServicePlan
from envctl.plan.reading import split

COMPOSED_PATIENCE, SERVER_PATIENCE = 10.0, 45.0
"""Seconds that a service of a Compose file gets to open the ports that it publishes, and a known server to answer on them."""
IDLE_PATIENCE = 1.0
"""Seconds that a service gets to open its ports if its program only keeps the container running (`sleep infinity`)."""
NOTICED = 2.0
"""How slow a server must be, beside most others, for a wait for it to be noticed (`ServicePlan.slow`)."""


def checks_of(kind: Kind, ready: Ready | None, ports: Mapping[str, int]) -> tuple[Check, ...]:
    """The kind's own check and the definition's; a service with a port and without a check must accept connections."""
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
    """What the definition says on top of the file; else the file's health check, and whether a known server answers.

    A check of ours that nobody asked for has `patience`: a service that never passes it is up as Compose would have it. A health
    check alone is not enough for a server: many pass while it is being initialised, and nobody but they can reach it yet.

    Args:
        closed: the ports of one that nobody outside its networks reaches: a program of its image asks them before it is seeded.
        itself: whether it runs its kind's server, as far as anybody can tell: that is waited for while it listens nowhere (`silent`).
        idle: whether its program only keeps the container running, and is not expected to open a port.
    """
    if ready is not None and (given := _given(ready, str(kind.ready.get("probe", "")))):
        return tuple(given)
    if kind.once:
        return ()
    server = not kind.own and bool(kind.ready) and not idle
    if seeded and server and closed is None:
        return checks_of(kind, None, {"main": 1} if published else {})
    # One that only says how often leaves the check to the image, which may have none.
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
    """Those of *services* that Compose would not wait for and that take seconds to answer, in a sentence; empty where there are none."""
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
    """Compose's `test` for the checks that a program of some usual image can make; empty where none can.

    An image's programs are not known here: the first of wget, curl, python3, node and bash that is there does it, and where
    none is the check passes.
    """
    commands = [text for check in checks if (text := _command(check, ports))]
    return ("CMD-SHELL", " && ".join(f"{{ {text}; }}" for text in commands)) if commands else ()


def unexpressed(kind: Kind, checks: Sequence[Check], ports: Mapping[str, int]) -> list[str]:
    """The checks that the rendered health check leaves out."""
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
    """Whether the programs take for success what is expected; they call 4xx and 5xx a failure."""
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
