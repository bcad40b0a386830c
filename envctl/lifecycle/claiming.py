"""Decide which instance an `up` works on, and record identity, ports and outputs on disk before anything is created.

An `up` works on the existing instance, or on a new one in its place. Leftovers of an interrupted command are removed first.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from envctl.definition.models import NAME
from envctl.engines import Engine, FindsPublishedRecords, FoundInstance, MadeElsewhere, Wanted, open_engine
from envctl.engines.registry import traits
from envctl.environment import Environment
from envctl.errors import UsageError, did_you_mean
from envctl.inspect.lookup import called
from envctl.instance.allocation import Allocation, PortKey
from envctl.instance.identity import instance_id
from envctl.instance.machine import owner_alive, process_alive, process_mark
from envctl.instance.record import Endpoint, InstanceState, LaneRecord, Record, ServiceRecord, now
from envctl.instance.store import RecordGone, RecordStore
from envctl.lifecycle.down import clear, is_anothers, note_removal, was_killed
from envctl.lifecycle.expiry import expiry
from envctl.lifecycle.options import UpOptions
from envctl.lifecycle.service_states import Row
from envctl.plan.model import Plan, ServicePlan
from envctl.process.signals import shielded
from envctl.session import Session

SAID, POLL = 10.0, 0.2
"""Seconds: how long to wait for the record of an instance that another machine has just begun, and the time between two checks."""


def instance_name(name: str) -> str:
    """Check *name*, and return it.

    Raises:
        UsageError: *name* is not a valid name of an instance.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"'{name}' is not a valid name", hint="letters, digits, - and _, at most 40, a letter or digit first")
    return name


def draft(session: Session, options: UpOptions, environment: Environment, owner: str) -> Record:
    """Return the future record, as far as it is known without a query to an engine; write nothing.

    Raises:
        UsageError: the name or an option is invalid.
        UnreadableRecord: the record of the existing instance cannot be read.
    """
    name = instance_name(options.name or environment.definition.name)
    key = options.key_of(session, environment.loaded.project)
    id = instance_id(name, environment.loaded.project, key)
    found = session.store.load(id)
    current = found if found is not None and _goes_on(found, options) else _fresh(name, id, environment, found)
    location = options.location(session, found)
    choices = options.choices(session, environment.loaded.given)
    # Where the engine itself runs processes of this machine, `--local` has no effect.
    local = () if traits(location.engine).runs_processes else choices.local
    choices = replace(choices, registry=choices.registry or current.choices.registry, local=local)
    ttl = options.ttl or environment.definition.ttl
    return replace(
        current,
        name=name,
        key=key,
        # Labels of containers cannot change; on a cluster, any checkout may continue with an instance that another checkout created.
        project=str(environment.loaded.project) if traits(location.engine).shares_namespaces else current.project,
        environment=environment.definition.name,
        file=str(environment.loaded.file),
        choices=choices,
        expires=expiry(session, location.engine, ttl, options.untrusted),
        # The owner is a label, and a changed label would recreate containers: an existing instance keeps its owner.
        owner=current.owner if current.was_up else owner,
        **location._asdict(),
    )


def _fresh(name: str, id: str, environment: Environment, before: Record | None) -> Record:
    return Record(
        name=name, id=id, environment="", engine="", project=str(environment.loaded.project), file="", created=now(),
        secret=secrets.token_hex(32), written=before.written if before is not None else (),
    )  # fmt: skip


def _goes_on(current: Record, options: UpOptions) -> bool:
    """Return whether the existing instance is kept, with its data, ports and passwords."""
    return not (options.fresh or current.expired or current.owner or current.half_done)


def claim(session: Session, engine: Engine, drafted: Record, options: UpOptions, elsewhere: bool = False) -> Record:
    """Write the record with the mark of this process, and return it; the caller must hold the instance's lock.

    Args:
        elsewhere: another machine may have created the instance; raise MadeElsewhere in this case instead of removing it.

    Raises:
        UsageError: the instance is in use, is on another engine, or belongs to another environment.
        RecordGone: the instance has changed since *drafted* was made: make a new draft and a new plan.
        MadeElsewhere: another machine has created the instance.
    """
    current = session.store.load(drafted.id)
    if current is not None:
        _refuse(session, current, drafted)
    going_on = current if current is not None and _goes_on(current, options) else None
    if (going_on.secret if going_on else "") != (drafted.secret if drafted.was_up else ""):
        raise RecordGone(f"another command has worked on {drafted.name} ({drafted.id}) in the meantime")
    if going_on is not None:
        return session.store.update(going_on, lambda current: _taken(_with_wishes(current, drafted), InstanceState.CHANGING))
    with shielded():
        _make_room(session, engine, drafted, current, options, elsewhere)
        return session.store.create(_taken(drafted, InstanceState.STARTING))


def _make_room(
    session: Session, engine: Engine, drafted: Record, current: Record | None, options: UpOptions, elsewhere: bool
) -> None:  # fmt: skip
    """Remove everything with the id of *drafted*. If this process is killed in between, the next command finishes the removal.

    Raises:
        MadeElsewhere: another machine has created or extended the instance.
    """
    if current is None:
        for found in engine.list(drafted.id):
            _refuse_held(found)
            if (drafted.key or elsewhere) and not options.fresh and _is_published(engine, found):
                raise MadeElsewhere(f"another machine is bringing {found.id} up, or has brought it up")
        clear(session, engine, drafted.id, {})
        return
    if current.location != drafted.location:
        engine = open_engine(current.location, session.host)
    if not options.fresh and _went_on_elsewhere(engine, current):
        raise MadeElsewhere(f"another machine has brought {current.id} up, or has given it more time")
    note_removal(session, current, process_mark())
    clear(session, engine, drafted.id, current.stop, killed=was_killed(current))


def _went_on_elsewhere(engine: Engine, current: Record) -> bool:
    """Return whether the engine has another instance with this id, or one whose expiry was extended beyond that in *current*."""
    if not isinstance(engine, FindsPublishedRecords):
        return False
    if is_anothers(engine, current):
        return True
    return current.expired and any(found.expires and found.expires > now() and not found.ending for found in engine.list(current.id))


def _refuse_held(found: FoundInstance) -> None:
    """Raise UsageError if a live owner on another machine holds the instance, although no record of it exists here."""
    if found.owner and not found.ending and owner_alive(found.owner) is not False and not (found.expires and found.expires <= now()):
        raise UsageError(
            f"{found.name} ({found.id}) is in use by a command of another machine, container or user",
            hint=f"wait for it, or use another --name or --key; `envctl down {found.id}` removes it anyway",
        )


def _is_published(engine: Engine, found: FoundInstance) -> bool:
    """Return whether another machine has published a record of *found*; wait for the record of an instance that was just begun."""
    over = found.ending or found.owner or (found.expires and found.expires <= now())
    if over or not isinstance(engine, FindsPublishedRecords):
        return False
    until = time.monotonic() + SAID
    while engine.published(found.id, "") is None:
        if time.monotonic() > until:
            return False
        time.sleep(POLL)
    return True


def _with_wishes(current: Record, drafted: Record) -> Record:
    """Return *current* with the options of this command; changes that other commands recorded since the draft are kept."""
    choices = replace(drafted.choices, unknown=current.choices.unknown)
    return replace(
        current, project=drafted.project, environment=drafted.environment, file=drafted.file, choices=choices, expires=drafted.expires
    )


def _taken(record: Record, state: InstanceState) -> Record:
    return replace(record, state=state, process=process_mark(), error="")


def _refuse(session: Session, current: Record, drafted: Record) -> None:
    """Raise UsageError if the existing instance *current* must not be touched by this command."""
    name, down = drafted.name, f"envctl down {called(session, current)}"
    if current.name != name:
        raise UsageError(f"'{name}' and '{current.name}' would share the id {drafted.id}", hint="use another --name")
    lives = process_alive(current.owner) if current.owner and not current.expired else False
    if lives:
        raise UsageError(f"another `envctl run` or `test` is using {name}", hint="wait for it, or use another --name")
    if lives is None:
        hint = f"wait for it, or use another --name; `envctl down {name}` removes it anyway"
        raise UsageError(f"a command of another machine or container is using {name}, or was using it", hint=hint)
    if current.location != drafted.location and not current.half_done:
        where = ", ".join(filter(None, (current.context, current.namespace)))
        raise UsageError(
            f"{name} is up on {current.engine}{f' at {where}' if where else ''}",
            hint=f"`{down}` first, or use another --name",
        )
    if _another(current, drafted) and not current.half_done and not current.expired:
        raise UsageError(
            f"{name} is an instance of the environment '{current.environment}' ({current.file}), not of '{drafted.environment}'",
            hint=f"use another --name, or `{down}` first",
        )


def _another(current: Record, drafted: Record) -> bool:
    """Return whether the instance belongs to another definition file; if that file no longer exists, compare the environments' names."""
    if current.file == drafted.file:
        return False
    return current.environment != drafted.environment or os.path.exists(current.file)


def recorded(record: Record, plan: Plan) -> Record:
    """Return *record* updated from *plan*; the states of services are kept."""
    return replace(
        record,
        outputs=dict(plan.outputs),
        lanes=tuple(LaneRecord(number, dict(outputs)) for number, outputs in enumerate(plan.lanes, 1)),
        secrets=tuple(sorted(plan.secrets)),
        write=dict(plan.write),
        stop={service.name: service.stop for service in plan.services.values() if service.stop},
        services={name: service_record(service, record.services.get(name)) for name, service in plan.services.items()},
    )


def service_record(service: ServicePlan, before: ServiceRecord | None = None) -> ServiceRecord:
    """Return the record of *service*; what the plan does not determine (state, readiness, faults) is taken from *before*."""
    before = before or ServiceRecord(service.kind)
    return replace(
        before,
        kind=service.kind,
        endpoints=_endpoints(service, before.endpoints),
        ends=service.once or service.from_compose,
        shell=tuple(service.shell),
        shell_env=dict(service.shell_env),
        user=service.user,
        public_url=str(service.outside.get("public_url") or ""),
        data=bool((service.data or service.steps) and not service.once),
        unseeded=bool(service.places and not service.steps and not service.once),
        unit=service.unit,
        lane=service.lane,
        written=service.written,
    )


def _endpoints(service: ServicePlan, before: Mapping[str, Endpoint]) -> dict[str, Endpoint]:
    told = service.outside.get("host")
    host = str(told) if told is not None else None
    return {name: replace(before.get(name, Endpoint(host, port)), host=host, port=port) for name, port in service.endpoints.items()}


def with_states(record: Record, rows: Mapping[str, Row]) -> Record:
    """Return *record* with the states of the services in *rows*."""
    services = dict(record.services)
    for name, row in rows.items():
        if name in services:
            services[name] = replace(services[name], state=row.state, ready_ms=row.ready_ms)
    return replace(record, services=services)


def allocate(store: RecordStore, engine: Engine, plan: Plan, record: Record, refused: Collection[str]) -> Allocation:
    """Return the ports and the subnet that *engine* allocates for the instance of *plan*.

    Args:
        refused: subnets that are already in use.

    Raises:
        UsageError: `--port` names a service without a port.
        EnvctlError: no port or subnet is free.
    """
    wanted = Wanted(plan.ports_wanted, sum(service.replicas for service in plan.services.values()))
    ports = {key: number for key, number in record.allocation.ports.items() if key in wanted.ports}
    kept = Allocation({**ports, **plan.ports_fixed, **_fixed(record.choices.port, wanted)}, record.allocation.subnet)
    others = {port for other in store.all() if other.id != record.id for port in other.allocation.ports.values()}
    return replace(engine.allocate(record.id, wanted, kept, others, refused), unknown=record.allocation.unknown)


def _fixed(asked: Mapping[str, int], wanted: Wanted) -> dict[PortKey, int]:
    """Return the main port of each service that `--port` names, with the requested number."""
    found = {}
    for service, number in asked.items():
        main = next((key for key in wanted.ports if key[0] == service), None)
        if main is None:
            known = list(dict.fromkeys(key[0] for key in wanted.ports))
            raise UsageError(f"--port {service}={number}: there is no such service with a port", hint=did_you_mean(service, known))
        found[main] = number
    return found
