"""Make snapshots: seed a twin of the environment that has no other client, stop its servers, and keep their data.

The twin is an ordinary instance with an owner: if this process is killed, its keeper removes it. The twin's passwords are secret, and the
twin never contains a password that the definition gives.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

from envctl.definition.models import Ready
from envctl.engines import BringsKept, Deployment, Execution, KeepsData, open_engine
from envctl.engines.registry import traits
from envctl.environment import Environment
from envctl.errors import EnvctlError, UsageError, did_you_mean
from envctl.instance.folder import snapshots_folder
from envctl.instance.lock import lock
from envctl.instance.machine import process_mark
from envctl.instance.record import Record, now
from envctl.lifecycle import units
from envctl.lifecycle.bring_up import Run
from envctl.lifecycle.claiming import draft
from envctl.lifecycle.down import tear_down
from envctl.lifecycle.events import Events, Listener
from envctl.lifecycle.options import UpOptions
from envctl.lifecycle.planning import open_selected, plan_of_environment
from envctl.lifecycle.snapshots import find, keepable, keys, record_of
from envctl.lifecycle.up import Up, up
from envctl.plan.anonymous import without_passwords
from envctl.plan.model import Plan, Selection, ServicePlan
from envctl.plan.transforms import apply
from envctl.process.signals import shielded
from envctl.session import Session
from envctl.snapshots.index import Entry, Index
from envctl.snapshots.keys import can_be_kept, kept_steps
from envctl.units import UnitError

TTL = 3600.0
INITIALISED = Ready(query="select 1", timeout=120)
"""The readiness check for servers of Compose files: a server that is up but answers no query may still be initialising."""
LOW = {"cpu_shares": 256}
"""The Docker settings for a twin in the background: a quarter of the processor share of any other container."""


def build(
    session: Session, options: UpOptions, names: Collection[str] = (), listeners: Sequence[Listener] = (), *, low: bool = False
) -> list[Entry]:
    """Keep the data of the services *names* (default: all), unless it is kept already; return the new snapshots.

    Args:
        low: run with low priority, since tests may be running, and skip snapshots that another command is making. Otherwise wait for them.

    Raises:
        UsageError: there is no such service, or the engine keeps no data.
        EnvctlError: an error of `up`, a server that does not end cleanly, or an input that has changed in the meantime.
    """
    if options.engine is not None and traits(options.engine).brings_kept:
        return _for_pods(session, options, names, listeners, low)
    wanted = _lacking(session, options, names)
    index = Index(snapshots_folder(session.environ))
    with ExitStack() as stack:
        # Equal servers share a key. All commands acquire the locks in the same order, so that they cannot block each other.
        by_key = {key: name for name, key in wanted.items()}
        mine = {by_key[key]: key for key in sorted(by_key) if stack.enter_context(index.building(key, wait=not low))}
        if mine and not low:
            mine = _lacking(session, options, list(mine))
        if mine:
            with _twin(session, options, mine, listeners, low) as (started, deployment):
                if _lacking(session, options, list(mine)) != mine:
                    raise EnvctlError("a definition or a file has changed while its data was being created, so nothing is kept")
                seeds = {name: service.seed for name, service in open_selected(session, options).definition.services.items()}
                return [_kept(index, deployment, started, name, key, len(seeds[name])) for name, key in mine.items()]
    return []


def _for_pods(session: Session, options: UpOptions, names: Collection[str], listeners: Sequence[Listener], low: bool) -> list[Entry]:
    """Make the snapshots on Docker, and bring them to the cluster, so that the next `up` there need not wait for the copy."""
    at_docker = replace(options, engine="docker", context=None, namespace=None, registry=None)
    made = build(session, at_docker, names, listeners, low=low)
    record, plan = _drafted(session, options, open_selected(session, options))
    deployment: Deployment = _deployment(session, record, plan)
    if isinstance(deployment, BringsKept) and not deployment.unable:
        for entry in made:
            service = plan.services[entry.made_for.rpartition("/")[2]]
            if can_be_kept(plan, service):
                deployment.bring(service, record_of(entry))
    return made


def _lacking(session: Session, options: UpOptions, names: Collection[str]) -> dict[str, str]:
    """Return the services whose data can be kept but is not, with their keys."""
    environment = open_selected(session, options)
    record, plan = _drafted(session, options, environment)
    for name in names:
        if name not in plan.services:
            raise UsageError(f"there is no service '{name}'", hint=did_you_mean(name, list(plan.services)))
    deployment = _deployment(session, record, plan)
    deployment.prepare(lambda service, text: None)
    kept = [service.name for service in keepable(deployment, plan, plan.services.values()) if service.name in (names or plan.services)]
    found, of = find(session, deployment, plan, kept), keys(deployment, plan, kept)
    return {name: of[name] for name in kept if found[name] is None}


def _drafted(session: Session, options: UpOptions, environment: Environment) -> tuple[Record, Plan]:
    record = draft(session, replace(options, name="snapshot", fresh=True), environment, "")
    return record, plan_of_environment(session, environment, record)


class _Deployment(Deployment, KeepsData):
    """A deployment that can keep data."""


def _deployment(session: Session, record: Record, plan: Plan) -> _Deployment:
    run = Run(session, record, plan, Events([]), time.monotonic() + TTL)
    found = run.deployment(open_engine(record.location, session.host), plan)
    if not isinstance(found, KeepsData):
        raise UsageError(f"--engine {record.engine} keeps no data: it is seeded again each time", hint="use Docker, or --engine local")
    return found  # type: ignore[return-value]


@contextmanager
def _twin(
    session: Session, options: UpOptions, names: Mapping[str, str], listeners: Sequence[Listener], low: bool
) -> Iterator[tuple[Up, _Deployment]]:
    """Bring up the twin and yield it; remove it at the end."""
    name = f"snapshot-{hashlib.sha256(repr(sorted(names.values())).encode()).hexdigest()[:8]}"
    alone = replace(
        options, name=name, fresh=True, keep=False, ports={}, ttl=TTL, timeout=TTL, report=None, no_snapshots=True, only=(),
        alone=tuple(names),
    )  # fmt: skip
    environment = _reduced(session, options, names, low)
    owner = process_mark()
    try:
        started = up(session, alone, listeners, owner=owner, environment=environment)
        yield started, _deployment(session, started.record, started.plan)
    finally:
        with shielded():
            for record in session.store.all():
                if record.owner == owner and record.name == name:
                    with lock(session.store.folder(record.id)):
                        tear_down(session, open_engine(record.location, session.host), record)


def _reduced(session: Session, options: UpOptions, names: Collection[str], low: bool) -> Environment:
    """Return the environment reduced to the services *names* and their needs, with the seeds that are kept and without given passwords."""
    environment = open_selected(session, options)
    _, plan = _drafted(session, options, environment)
    environment = apply(without_passwords(environment), Selection(only=tuple(names), use=dict(options.use)))
    services = dict(environment.definition.services)
    for name in names:
        seeds = services[name].seed[: len(kept_steps(plan.services[name]))]
        fragment = {**LOW} if low and not plan.setting.engine.runs_processes else {}
        patient = (services[name].ready or Ready()).model_copy(update={"timeout": TTL})
        if services[name].from_compose:
            fragment, patient = {**services[name].compose, **fragment}, INITIALISED
        services[name] = services[name].model_copy(update={"seed": seeds, "compose": fragment, "ready": patient})
    update = {"services": services, "outputs": {}, "write": {}, "tests": {}}
    return replace(environment, definition=environment.definition.model_copy(update=update))


def _kept(index: Index, deployment: _Deployment, twin: Up, name: str, key: str, seeds: int) -> Entry:
    service = twin.plan.services[name]
    assert service.snapshot is not None
    made = _made_ahead(deployment, service) if len(service.steps) == seeds else ()
    for argv, env, stdin in service.snapshot.consistent:
        result = deployment.execute(name, Execution(argv, env, (stdin.encode(),) if stdin else ()))
        if result.status:
            raise EnvctlError(f"{name}: {argv[0]} ended with {result.status} before its data was kept: {result.output.strip()}")
    deployment.stop(service)
    place, saved = deployment.place(service), deployment.save(service, key)
    entry = Entry(
        key, place.engine, place.context or "", saved.ref, saved.content, saved.size, made_for=f"{twin.record.environment}/{name}",
        kind=service.kind, image=service.image, made=now(), steps=tuple(step.hash for step in service.steps), units=made,
    )  # fmt: skip
    index.add(entry)
    return entry


def _made_ahead(deployment: Deployment, service: ServicePlan) -> tuple[str, ...]:
    """Create the copy of the seeded data that every instance would make, so that the snapshot already contains it."""
    unit = service.unit
    if unit is None or service.from_compose or not (unit.ahead and unit.names):
        return ()
    with suppress(UnitError):
        return tuple(units.make(unit, deployment.probe_ports(service), ()))
    return ()
