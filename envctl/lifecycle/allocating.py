"""Ports and a subnet for an instance: those that it has, new ones for the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from envctl.engines import Engine, Wanted
from envctl.errors import UsageError, did_you_mean
from envctl.instance.allocation import Allocation, PortKey
from envctl.instance.record import Record
from envctl.instance.store import RecordStore
from envctl.plan.model import Plan


def allocate(store: RecordStore, engine: Engine, plan: Plan, record: Record, refused: Collection[str]) -> Allocation:
    """What *engine* gives the instance of *plan*.

    Args:
        refused: subnets that turned out to be taken.

    Raises:
        UsageError: `--port` names a service without a port.
        EnvctlError: nothing is free.
    """
    wanted = Wanted(plan.ports_wanted, sum(service.replicas for service in plan.services.values()))
    ports = {key: number for key, number in record.allocation.ports.items() if key in wanted.ports}
    kept = Allocation({**ports, **_fixed(record.choices.port, wanted)}, record.allocation.subnet)
    others = {port for other in store.all() if other.id != record.id for port in other.allocation.ports.values()}
    return engine.allocate(record.id, wanted, kept, others, refused)


def _fixed(asked: Mapping[str, int], wanted: Wanted) -> dict[PortKey, int]:
    """The main port of each service that `--port` names."""
    found = {}
    for service, number in asked.items():
        main = next((key for key in wanted.ports if key[0] == service), None)
        if main is None:
            known = list(dict.fromkeys(key[0] for key in wanted.ports))
            raise UsageError(f"--port {service}={number}: there is no such service with a port", hint=did_you_mean(service, known))
        found[main] = number
    return found
