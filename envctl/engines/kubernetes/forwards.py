"""The port forwards of an instance, which its keeper runs: one fixed local port for each port of a service."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from envctl.engines.free_ports import any_port, bindable
from envctl.engines.kubernetes.contexts import Context
from envctl.engines.kubernetes.credentials import credentials
from envctl.engines.protocol import PortTaken
from envctl.errors import EnvctlError
from envctl.instance.labels import INSTANCE, SERVICE
from envctl.keeper_client.client import KeeperGone
from envctl.plan.model import Plan, ServicePlan
from envctl.session.session import Host

FILE = "forwards.json"
EXEC_AGENT = "exec-agent"
EXEC_AGENT_PORT = 15099
PROBE = "#probe"
RIGHT = '"pods/portforward"'
Forward = dict[str, Any]


def forwards_of(plan: Plan) -> list[Forward]:
    """Return a forward for each port that is reachable from outside. The forward to an exec agent is added when it is needed."""
    ports = [(service.name, port) for service in plan.services.values() for port in service.ports]
    return [forward(plan.setting.id, service, port.name, port.number, port.outside) for service, port in ports if port.outside]


def forward(id: str, service: str, port: str, number: int, local: int) -> Forward:
    """Return a forward, as the keeper takes it, from the port *local* of this machine to the port *number* of the pod."""
    selector = f"{INSTANCE}={id},{SERVICE}={service}"
    return {"name": f"{service}/{port}", "selector": selector, "port": number, "listen": ["127.0.0.1", local]}


def at_free_ports(forwards: Iterable[Forward]) -> tuple[list[Forward], dict[int, int]]:
    """Return *forwards* at ports that are free on this machine, and the ports that are taken with their replacements."""
    found, moved = [], {}
    for entry in forwards:
        address, port = entry["listen"]
        if not bindable(port):
            moved[port] = any_port()
        found.append({**entry, "listen": [address, moved.get(port, port)]})
    return found, moved


def with_approvals(host: Host, id: str, forwards: Iterable[Forward]) -> list[Forward]:
    """Return *forwards*, marked as in need of approval where the keeper's current forwards are."""
    waiting = {entry["name"] for entry in kept(host, id) if entry.get("needs_approval")}
    return [entry | ({"needs_approval": True} if entry["name"] in waiting else {}) for entry in forwards]


def for_others(entries: Sequence[Forward]) -> list[Forward]:
    """Return the forwards as another machine gets them.

    Approvals only count for the keeper of this machine. The other keeper reads from the pod's conditions whether the pod has its data
    (`gated`).
    """
    plain = [{key: value for key, value in entry.items() if key not in ("needs_approval", "approved")} for entry in entries]
    return [told | ({"gated": True} if entry.get("needs_approval") else {}) for entry, told in zip(entries, plain, strict=True)]


def set_forwards(host: Host, id: str, context: Context, namespace: str, forwards: Iterable[Forward], whole: bool) -> dict[str, int]:
    """Pass the forwards to the keeper, and return forward names to local ports.

    Args:
        whole: whether the keeper ends all other forwards.

    Raises:
        KeeperGone: the instance has no keeper.
        PortTaken: another program has taken a local port.
        EnvctlError: the keeper refuses the forwards for another reason.
    """
    keeper = host.keepers.find(id)
    if keeper is None:
        raise KeeperGone(f"the keeper of {id} has ended, and its port forwards with it", hint="`envctl up` starts it again")
    body: dict[str, Any] = {"cluster": credentials(context), "namespace": namespace, "forwards": list(forwards), "whole": whole}
    status, answer = keeper.ask("PUT", "/v1/forwards", body)
    if status != 200:
        words = str(answer.get("error", status) if isinstance(answer, dict) else status)
        taken = next((entry["name"] for entry in body["forwards"] if f", {entry['listen'][1]})" in words), None)
        if taken is not None:  # since it was chosen
            raise PortTaken(taken.partition("/")[0], words)
        raise EnvctlError(f"a port forward cannot be opened: {words}")
    return {name: int(told["port"]) for name, told in answer["forwards"].items()}


def kept(host: Host, id: str) -> list[Forward]:
    """Return the forwards of the keeper from its file on disk; empty if there is no readable file."""
    with suppress(OSError, ValueError, KeyError):
        return list(json.loads((host.folder(id) / FILE).read_text("utf-8"))["forwards"])
    return []


def approve(host: Host, id: str, name: str, data_id: str) -> None:
    """Open an endpoint that needs approval: the pod or container with *data_id* has its data."""
    keeper = host.keepers.find(id)
    if keeper is not None:
        keeper.ask("POST", "/v1/forwards/approve", {"name": name, "data_id": data_id})


def barred(host: Host, id: str, service: str) -> str:
    """Return the API server's message about a missing right to forward ports, with which no retry can succeed; empty if there is none."""
    keeper = host.keepers.find(id)
    status, told = keeper.ask("GET", "/v1/forwards") if keeper is not None else (404, {})
    errors = [str(each["error"]) for name, each in told.items() if name.partition("/")[0] == service] if status == 200 else []
    return next((error for error in errors if RIGHT in error and " cannot " in error), "")


def needs_approval(service: ServicePlan) -> bool:
    """Return whether envctl makes the data of the service, so that a replaced pod must not answer before the data is made again.

    The result is False for a service with a seed command that runs on this machine, because the command needs the open endpoint.
    """
    advertised = bool(service.advertised)  # the service redirects the clients of its seed steps to that endpoint
    outside = any((step.command and step.step.in_ in (None, "host")) or (advertised and not step.command) for step in service.steps)
    return bool(service.steps or service.sets_up) and not outside


def probing(host: Host, id: str, context: Context, namespace: str, service: ServicePlan) -> dict[str, int]:
    """Return port names to local ports for probes. A service whose endpoint is closed until it has its data gets separate forwards."""
    if not any(
        (entry.get("needs_approval") or entry.get("gated")) and entry["name"].partition("/")[0] == service.name for entry in kept(host, id)
    ):
        return service.outside_ports
    ours = [forward(id, service.name, f"{port.name}{PROBE}", port.number, port.outside or 0) for port in service.ports]
    ports = {entry["name"]: entry["listen"][1] for entry in kept(host, id)}
    for entry in ours:
        entry["listen"][1] = ports.get(entry["name"]) or any_port()
    made = set_forwards(host, id, context, namespace, ours, whole=False)
    return {port.name: made[entry["name"]] for port, entry in zip(service.ports, ours, strict=True)}
