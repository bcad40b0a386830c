"""What is kept of a plan for the commands that come later, and work without the definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from envctl.instance.record import Endpoint, Record, ServiceRecord
from envctl.lifecycle.service_states import Row
from envctl.plan.model import Plan, ServicePlan


def recorded(record: Record, plan: Plan) -> Record:
    """*record* with what *plan* says; how far services are stays."""
    return replace(
        record,
        outputs=dict(plan.outputs),
        secrets=tuple(sorted(plan.secrets)),
        write=dict(plan.write),
        stop={service.name: service.stop for service in plan.services.values() if service.stop},
        services={name: service_record(service, record.services.get(name)) for name, service in plan.services.items()},
    )


def service_record(service: ServicePlan, before: ServiceRecord | None = None) -> ServiceRecord:
    host = service.outside.get("host")
    made = ServiceRecord(
        kind=service.kind,
        endpoints={name: Endpoint(str(host) if host is not None else None, port) for name, port in service.endpoints.items()},
        ends=service.once or service.from_compose,
        shell=tuple(service.shell),
        shell_env=dict(service.shell_env),
        user=service.user,
    )
    return replace(made, state=before.state, ready_ms=before.ready_ms, unknown=before.unknown) if before is not None else made


def with_states(record: Record, rows: Mapping[str, Row]) -> Record:
    """*record* with how far the services of *rows* have come."""
    services = dict(record.services)
    for name, row in rows.items():
        if name in services:
            services[name] = replace(services[name], state=row.state, ready_ms=row.ready_ms)
    return replace(record, services=services)
