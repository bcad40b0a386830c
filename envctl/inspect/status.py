"""The JSON document of an instance, for `up`, `status` and reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envctl.engines import ServiceState
from envctl.instance.codec import encode
from envctl.instance.record import InstanceState, Record, ServiceRecord

UNKNOWN = "unknown"
"""The state of a service or an instance that could not be examined."""


def document(record: Record, states: Mapping[str, ServiceState] | None = None) -> dict[str, Any]:
    """Return the JSON document of *record*; with *states*, its services have the states that the engine reports now."""
    services = {name: _service(name, service, states) for name, service in record.services.items()}
    found: dict[str, Any] = {
        "name": record.name, "id": record.id, "environment": record.environment, "engine": record.engine,
        "state": overall(record, services), "expires": record.expires, "services": services, "outputs": dict(record.outputs),
        "lanes": [dict(lane.outputs) for lane in record.lanes], "timings_ms": dict(record.timings_ms),
    }  # fmt: skip
    lacking = [f"{name}: {state.lacks}; `envctl up` brings it back" for name, state in (states or {}).items() if state.lacks]
    lost = [name for name, state in (states or {}).items() if _lost(record, name, state)]
    lacking += [
        f"{name}: it was replaced, and its data has not been seeded again yet; `envctl seed {record.id} {name}` does it" for name in lost
    ]
    for name in lost:
        services[name] = {**services[name], "state": "starting"}
    found["state"] = overall(record, services)
    error = "; ".join(filter(None, [record.error, *lacking]))
    return found | ({"error": error} if error else {})


def _lost(record: Record, name: str, state: ServiceState) -> bool:
    """Return whether the running service has other data than the data that was seeded."""
    known = record.data.get(name)
    return state.running and known is not None and bool(state.data_ids) and known.data_id not in state.data_ids and name in record.services


def unseen(record: Record, why: str) -> dict[str, Any]:
    """Return the document of an instance that cannot be examined now, with the reason *why*."""
    found = document(record)
    services = {name: {**service, "state": UNKNOWN} for name, service in found["services"].items()}
    return {**found, "state": UNKNOWN, "services": services, "error": why}


def _service(name: str, service: ServiceRecord, states: Mapping[str, ServiceState] | None) -> dict[str, Any]:
    shown = {"kind": service.kind, "state": service.state, "ready_ms": service.ready_ms, "endpoints": encode(service.endpoints)}
    public = {"public_url": service.public_url, "public_fault": service.public_fault} if service.public_url else {}
    shown |= {key: value for key, value in public.items() if value}
    state = states.get(name) if states is not None else None
    if states is not None and (state is None or not state.running) and shown["state"] not in ("done", "pending"):
        failed, ended = state is not None and state.status, state is not None and state.status == 0 and service.ends
        shown["state"] = "failed" if failed else "done" if ended else "stopped"
    return shown


def overall(record: Record, services: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the state of the instance: `failed` or `stopped` if a service is, otherwise that of the service that is furthest behind."""
    if record.state in (InstanceState.FAILED, InstanceState.REMOVING):
        return "failed" if record.state is InstanceState.FAILED else "stopped"
    states = {service["state"] for service in services.values()}
    for state in ("failed", "stopped", "pending", "starting", "ready"):
        if state in states:
            return state
    return "done" if states == {"done"} else "seeded"
