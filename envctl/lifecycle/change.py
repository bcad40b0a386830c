"""What is done to an instance that is there: restart, seed, reset, down."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from envctl import instance
from envctl.engines import Deployment, Engine
from envctl.engines.common.mixed import open_deployment, running_instance
from envctl.errors import UsageError
from envctl.instance import Record
from envctl.keeper_client import keepers
from envctl.lifecycle.bring_up import BringUp
from envctl.lifecycle.replan import project_of
from envctl.lifecycle.request import DEFAULT_TIMEOUT, Reporter
from envctl.lifecycle.service_states import ServiceStates
from envctl.outputs import write_outputs
from envctl.plan.model import Plan
from envctl.seeding import Seeder


def restart(record: Record, service: str, build: bool, reporter: Reporter, timeout: float = DEFAULT_TIMEOUT) -> None:
    """Stops and starts one service, from a new image with *build*; ports and data stay."""
    with _alone(record) as record:
        engine, plan, project = project_of(record)
        if service not in plan.services:
            raise UsageError(f"{service} runs elsewhere (--use); envctl cannot restart it")
        if build:
            part = _part(engine, plan, [service], record)
            part.prepare(lambda _, text: reporter.say(text))
            part.create(whole=False)
        else:
            project.stop(plan.services[service])
        _again(record, plan, project, [service], reporter, timeout)


def seed(record: Record, services: Iterable[str], reporter: Reporter, timeout: float = DEFAULT_TIMEOUT) -> None:
    """Runs the seed steps that have not been run yet."""
    with _alone(record) as record:
        _, plan, project = project_of(record)
        _again(record, plan, project, list(services) or _seeded(plan), reporter, timeout)


def reset(record: Record, services: Iterable[str], reporter: Reporter, timeout: float = DEFAULT_TIMEOUT) -> None:
    """Back to the seeded state: the data is thrown away and made again; who uses it goes on running."""
    with _alone(record) as record:
        engine, plan, project = project_of(record)
        names = list(services) or _with_data(plan)
        part = _part(engine, plan, names, record)
        part.prepare(lambda _, text: reporter.say(text))
        for name in names:
            project.discard(plan.services[name])
            record.seeds.pop(name, None)
        record.save()
        part.create(whole=False)
        _again(record, plan, project, names, reporter, timeout)


def extend(record: Record, seconds: float) -> None:
    """It expires *seconds* from now: on the engine's marker first, then for the keeper."""
    with _alone(record) as record:
        record.expires = instance.now(seconds)
        running_instance(record).renew(record.expires, record.marks)
        record.save()
        keepers.ensure(record, watched=False)


@contextmanager
def _alone(record: Record) -> Iterator[Record]:
    """The record as whoever had the lock before has left it."""
    with instance.lock(record.id):
        found = instance.load(record.id)
        if found is None:
            raise UsageError(f"{record.name} has been removed meanwhile")
        vars(record).update(vars(found))
        yield record


def _seeded(plan: Plan) -> list[str]:
    return [service.name for service in plan.services.values() if service.steps]


def _with_data(plan: Plan) -> list[str]:
    """Every server with data or seeds; the team's own services keep running."""
    return [s.name for s in plan.services.values() if (s.data or s.steps) and not s.once]


def _part(engine: Engine, plan: Plan, names: list[str], record: Record) -> Deployment:
    """Some services alone: the others, whose definition or source may have changed since, stay as they are."""
    services = {name: replace(plan.services[name], needs={}) for name in names}
    return open_deployment(engine, replace(plan, services=services), record.folder)


def _again(record: Record, plan: Plan, project: Deployment, names: list[str], reporter: Reporter, timeout: float) -> None:
    part = replace(plan, services={name: replace(plan.services[name], needs={}) for name in names})
    board = ServiceStates.of(part.services, reporter.row)
    reporter.begin(part)
    seeder = Seeder(plan, project, {**plan.outputs, **record.process_variables}, plan.folder)
    try:
        with keepers.marking(record.id):
            BringUp(part, project, record, board, seeder, save=record.save).run(time.monotonic() + timeout)
        project.finish()
    finally:
        reporter.end()
        for name, row in board.rows.items():
            record.services[name] |= {"state": row.state, "ready_ms": row.ready_ms}
        record.save()
    write_outputs(record)
