"""The JSON document of an instance, as `up`, `status` and reports give it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envctl.engines import ServiceState
from envctl.instance import Record


def document(record: Record, states: Mapping[str, ServiceState] | None = None) -> dict[str, Any]:
    """What is known of *record*, services as their engine sees them now where *states* are given."""
    services = {
        name: _service(entry, states.get(name) if states is not None else None, states is not None)
        for name, entry in record.services.items()
    }
    found: dict[str, Any] = {
        "name": record.name, "id": record.id, "environment": record.environment, "engine": record.engine,
        "state": overall(record, services), "expires": record.expires, "services": services, "outputs": record.outputs,
        "lanes": [], "timings_ms": record.timings_ms,
    }  # fmt: skip
    return found | ({"error": record.error} if record.error else {})


def _service(entry: Mapping[str, Any], state: ServiceState | None, asked: bool) -> dict[str, Any]:
    shown = {key: entry.get(key) for key in ("kind", "state", "ready_ms", "endpoints")}
    if asked and (state is None or not state.running) and shown["state"] not in ("done", "pending"):
        failed, ended = state is not None and state.status, state is not None and state.status == 0 and entry.get("ends")
        shown["state"] = "failed" if failed else "done" if ended else "stopped"
    return shown


def overall(record: Record, services: Mapping[str, Mapping[str, Any]]) -> str:
    """The state of the whole: of what failed first, else of what is furthest behind."""
    if record.state in ("failed", "removing"):
        return "failed" if record.state == "failed" else "stopped"
    states = {service["state"] for service in services.values()}
    for state in ("failed", "stopped", "pending", "starting", "ready"):
        if state in states:
            return state
    return "done" if states == {"done"} else "seeded"
