"""Render the readiness check of a kind or a definition as probes of the kubelet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from envctl.plan.model import Check, ServicePlan
from envctl.render.kubernetes.composed import composed_probe, exec_probe
from envctl.render.kubernetes.secrets import Drawer, key_of

PATIENCE = 5
"""The kubelet kills a container that is not ready after this many times the ready timeout.

The factor is generous: a server that is killed while it creates its data never becomes ready.
"""
SCRIPT = "/opt/envctl-probe"
Handler = dict[str, Any]


def handler(service: ServicePlan) -> Handler | None:
    """Return the check as a probe handler of Kubernetes; None if Kubernetes cannot make the check."""
    if service.once:
        return None
    if service.from_compose and (given := composed_probe(service)):
        return given
    ports = {port.name: port.number for port in service.ports}
    asks_more = len(service.checks) > 1 and service.own  # The definition has more checks than the kind; a command can make all of them.
    if service.pod.probe and not asks_more:
        return _numbered(service.pod.probe, ports)
    native = [found for check in service.checks if (found := _native(check, ports))]
    if not service.healthcheck:
        return next(iter(native), None)
    is_all = len(native) == 1 and not any(check.probe == "command" for check in service.checks)
    return native[0] if service.own and is_all else exec_probe(service.healthcheck)


def _numbered(probe: Mapping[str, Any], ports: Mapping[str, int]) -> Handler:
    """Return the kind's probe with port numbers instead of names, because a definition can change the number of a port."""
    return {how: {**what, "port": ports.get(what["port"], what["port"])} if "port" in what else dict(what) for how, what in probe.items()}


def _native(check: Check, ports: Mapping[str, int]) -> Handler | None:
    named: Any = check.options.get("port")
    port = named if isinstance(named, int) else ports.get(named, next(iter(ports.values()), None))
    if port is None or check.probe not in ("http", "tcp"):
        return None
    if check.probe == "http" and check.options.get("status") is None:
        return {"httpGet": {"path": check.options.get("path", "/"), "port": port}}
    return {"tcpSocket": {"port": port}}


def without_secrets(service: ServicePlan, found: Handler | None, drawer: Drawer) -> tuple[Handler | None, list[dict[str, Any]]]:
    """Return the probe without secrets, and the volumes that it needs.

    Probes cannot refer to Secrets, so a command that contains a password becomes a script in the Secret, which is mounted.
    """
    words = (found or {}).get("exec", {}).get("command", [])
    if not any(drawer.vault.hidden(word) for word in words):
        return found, []
    import shlex

    text = words[2] if words[:2] == ["sh", "-c"] and len(words) == 3 else shlex.join(words)
    reference = drawer.put(key_of(service.name, "probe"), f"{text}\n".encode(), "the command that asks whether it is ready")
    items = [{"key": reference["key"], "path": "check"}]
    volume = {"name": "probe", "secret": {"secretName": reference["name"], "defaultMode": 0o444, "items": items}}
    return {"exec": {"command": ["sh", f"{SCRIPT}/check"]}}, [volume]


def startup(service: ServicePlan, found: Handler) -> dict[str, Any]:
    """Return the startup probe: one attempt each second, until PATIENCE times the ready timeout has passed."""
    tries = max(30, math.ceil(service.ready_timeout * PATIENCE))
    return {**found, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": tries}


def readiness(found: Handler) -> dict[str, Any]:
    """Return the readiness probe, which the kubelet runs after the startup probe has succeeded."""
    return {**found, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3}


def left_out(service: ServicePlan) -> list[str]:
    """Return the checks that no probe makes, as texts for the user."""
    if service.once or service.from_compose:
        return []
    ports = {port.name: port.number for port in service.ports}
    found = handler(service)
    if found is None:
        return [check.probe for check in service.checks]
    if "exec" in found:
        return list(service.unexpressed)
    if service.pod.probe and not service.own:
        return [check.probe for check in service.checks[1:]]
    return [check.probe for check in service.checks if _native(check, ports) != found] + [
        f"http with status {check.options['status']}"
        for check in service.checks
        if check.probe == "http" and check.options.get("status") not in (None, "any") and _native(check, ports) == found
    ]
