"""`up`: definition -> plan -> allocated -> created -> ready -> seeded -> outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from envctl.engines import Deployment, Engine, MadeElsewhere, PortTaken, SubnetTaken, open_engine
from envctl.engines.mixed import prepare_meanwhile
from envctl.engines.registry import traits
from envctl.environment import Environment
from envctl.errors import DefinitionError, OutOfTime, ServiceFailed, UsageError
from envctl.inspect.lookup import called
from envctl.instance.labels import labels_of
from envctl.instance.lock import lock
from envctl.instance.record import InstanceState, Record
from envctl.instance.store import RecordGone
from envctl.keeper_client.client import KeeperGone
from envctl.keeper_client.starting import watched_until_kept
from envctl.lifecycle.adoption import adopt, forget
from envctl.lifecycle.bring_up import Run, bring_up
from envctl.lifecycle.claiming import allocate, claim, draft, recorded
from envctl.lifecycle.data import changed_seeds, refuse_changed_seeds
from envctl.lifecycle.events import EventLog, Events, Listener
from envctl.lifecycle.external_services import ask_used
from envctl.lifecycle.failed import ended
from envctl.lifecycle.heartbeat import beat_while_owned
from envctl.lifecycle.keeper import begin_keeper
from envctl.lifecycle.machines import alone_among_machines, discard_half_made
from envctl.lifecycle.options import UpOptions
from envctl.lifecycle.planning import open_selected, plan_of_environment, reached
from envctl.lifecycle.snapshots import begin_as_kept, build_later
from envctl.outputs import empty_outputs, refuse_foreign_files, with_all_written
from envctl.plan.health import waited_for
from envctl.plan.model import Plan
from envctl.process import signals
from envctl.process.threads import each
from envctl.session import Session

TRIES = 5
GRACE = 0.5
"""The seconds after the deadline before the command is interrupted: threads that wait for services report the deadline more precisely."""


@dataclass
class Timer:
    """The duration of each phase in milliseconds."""

    began: float = field(default_factory=time.monotonic)
    phases: dict[str, int] = field(default_factory=dict)

    def phase(self, name: str) -> None:
        """End the phase *name*, which began when the phase before it ended."""
        total = round((time.monotonic() - self.began) * 1000)
        self.phases[name] = self.phases.get(name, 0) + total - self.phases.get("total", 0)
        self.phases["total"] = total


class Up(NamedTuple):
    """An instance that is up, the plan by which it was brought up, and whether it had been up before."""

    record: Record
    plan: Plan
    existed: bool


def up(
    session: Session, options: UpOptions, listeners: Sequence[Listener] = (), *, owner: str = "", environment: Environment | None = None
) -> Up:
    """Bring an environment up: running, ready and seeded.

    Args:
        owner: the mark of the process whose end also ends the instance.
        environment: the environment that *options* name, if it is already open.

    Raises:
        DefinitionError, UsageError, EngineMissing, UnreadableRecord, KeeperSilent: nothing was started.
        ServiceFailed, OutOfTime, Interrupted: the instance was removed, unless `keep` is given or it was up before.
    """
    timer = Timer()
    elsewhere = False
    while True:
        try:
            return _up(session, options, listeners, owner, environment, timer, elsewhere)
        except MadeElsewhere as error:
            if time.monotonic() > timer.began + options.timeout:
                raise OutOfTime(f"out of time after {options.timeout:g} s: {error}") from None
            if owner or options.fresh:
                raise UsageError(str(error), hint="wait for it, or use another --name or --key") from None
            elsewhere = True


def _up(
    session: Session, options: UpOptions, listeners: Sequence[Listener], owner: str, environment: Environment | None, timer: Timer,
    elsewhere: bool,
) -> Up:  # fmt: skip
    """Bring an environment up, once.

    Args:
        elsewhere: another machine may have created the instance: adopt it if its record is published.

    Raises:
        MadeElsewhere: another machine is creating the instance, or has created it.
    """
    until = timer.began + options.timeout

    def in_time(what: str) -> AbstractContextManager[None]:
        late = f"out of time after {options.timeout:g} s{what}"
        return signals.deadline(until + GRACE - time.monotonic(), lambda: OutOfTime(late))

    with in_time(" of planning"):
        environment = environment or open_selected(session, options)
        drafted, engine = draft(session, options, environment, owner), None
    if elsewhere or _may_be_elsewhere(session, options, drafted):
        with in_time(f": {drafted.engine} did not answer"):
            engine = open_engine(drafted.location, session.host)
            if adopt(session, engine, drafted.location, drafted.id, str(environment.loaded.project)) is not None:
                drafted = draft(session, options, environment, owner)
    with in_time(" of planning"):
        plan = _planned(session, options, environment, drafted)
        ask_used(environment, called(session, drafted))
    timer.phase("plan")
    with in_time(f": {drafted.engine} did not answer"):
        engine = engine or open_engine(drafted.location, session.host)
    with watched_until_kept(session.environ) as watched, lock(session.store.folder(drafted.id)):
        if drafted.was_up:
            session.keepers.hear(drafted.id)  # before anything is written: if the keeper does not answer, nothing is changed
        try:
            with in_time(f": what was left of {drafted.name} has not been removed yet"):
                record = claim(session, engine, drafted, options, elsewhere)
        except MadeElsewhere:
            _forget(session, drafted.id)
            raise
        except RecordGone:  # another command was faster, but this one has the lock now
            drafted = draft(session, options, environment, owner)
            plan = _planned(session, options, environment, drafted)
            record = claim(session, engine, drafted, options)
        events = Events([*listeners, EventLog(session.store.folder(record.id))])
        run = Run(session, record, plan, events, until, reseed=options.reseed)
        try:
            with in_time(""):
                _begin_keeper(run, watched)
                beat_while_owned(session, engine, record)
                with alone_among_machines(run, engine):
                    _allocate_and_bring_up(run, engine, options, timer)
            _complete(run, timer)
        except MadeElsewhere:
            _forget(session, record.id)
            raise
        except BaseException as error:
            raise ended(run, engine, options, drafted.state, record.was_up, error) from None
        finally:
            run.close()
    build_later(session, options, run)
    return Up(run.record, run.plan, existed=record.was_up)


def _forget(session: Session, id: str) -> None:
    """Remove the record and the outputs of an instance that another machine has created instead."""
    record = session.store.load(id)
    if record is not None:
        empty_outputs(record)
    forget(session, id)


def _begin_keeper(run: Run, watched: Callable[[], None]) -> None:
    """Start the keeper in the background; creation waits until it watches."""
    run.record, answers = begin_keeper(run.session, run.record, watched=not run.record.was_up)

    def kept() -> None:
        answers()
        watched()

    run.in_flight.begin_with(kept, "keeper")


def _planned(session: Session, options: UpOptions, environment: Environment, drafted: Record) -> Plan:
    """Make the plan now, so that mistakes that only planning can find are reported before anything is changed."""
    try:
        plan = plan_of_environment(session, environment, drafted)
    except DefinitionError as error:
        if options.engine is None and traits(drafted.engine).runs_processes:
            error.hint = "Docker does not answer here, so the services would run as processes of this machine; `envctl doctor` says why"
        raise
    session.mask.add(plan.secrets)
    refuse_foreign_files(with_all_written(replace(drafted, write=dict(plan.write)), session.store.all()))
    return plan


def _may_be_elsewhere(session: Session, options: UpOptions, drafted: Record) -> bool:
    """Return whether another machine may have brought up an instance with this key that is unknown here."""
    return bool(drafted.key) and not (drafted.was_up or options.fresh or drafted.owner or session.store.load(drafted.id) is not None)


def _allocate_and_bring_up(run: Run, engine: Engine, options: UpOptions, timer: Timer) -> None:
    """Allocate, create and bring up; try again with another port or subnet if one was taken in between."""
    refused: list[str] = []
    plan = run.plan
    for attempt in range(TRIES):
        allocation = allocate(run.session.store, engine, plan, run.record, refused)
        run.plan = plan.with_allocation(allocation, reached(engine, plan))
        run.update(lambda record: recorded(replace(record, allocation=allocation), run.plan))  # noqa: B023
        timer.phase("allocate")
        try:
            _create_and_bring_up(run, run.deployment(engine, run.plan), options, timer, again=run.record.was_up or attempt > 0)
        except PortTaken as error:
            published = {key for key in run.plan.ports_wanted if key[0] == error.service} <= run.plan.ports_fixed.keys()
            if attempt + 1 == TRIES or published or error.service in run.record.choices.port:
                hint = "choose another number for its `publish:`, or remove it" if published else "choose another one with --port"
                raise ServiceFailed(f"{error.service}: its port is taken: {error.message}", hint=hint) from None
            run.update(partial(_without_ports, service=error.service))
        except SubnetTaken:
            if attempt + 1 == TRIES:
                raise
            refused.append(allocation.subnet or "")
            run.update(lambda record: replace(record, allocation=replace(record.allocation, subnet=None)))
        else:
            return


def _without_ports(record: Record, service: str) -> Record:
    ports = {key: number for key, number in record.allocation.ports.items() if key[0] != service}
    return replace(record, allocation=replace(record.allocation, ports=ports))


def _create_and_bring_up(run: Run, deployment: Deployment, options: UpOptions, timer: Timer, *, again: bool) -> None:
    run.events.begin(run.plan)
    for told in () if again or options.alone else (*run.plan.losses, waited_for(run.plan.services.values())):
        if told:
            run.events.say(told)
    run.data(deployment).know_again(run.plan.services.values())
    prepare_meanwhile(deployment, partial(_progress, run))
    if run.reseed:
        _discard_changed(run, deployment)
    discard_half_made(run, deployment, run.plan.services.values())
    begin_as_kept(run, deployment, run.plan.services.values(), allowed=not options.no_snapshots)
    timer.phase("images")
    run.in_flight.await_first()
    refuse_changed_seeds(run.record, called(run.session, run.record), deployment, run.plan.services.values())
    each(lambda step: step(), [lambda: deployment.renew(run.record.expires, labels_of(run.record)), deployment.create])
    timer.phase("create")
    bring_up(run, deployment, options.alone or None)
    timer.phase("services")


def _progress(run: Run, service: str, text: str) -> None:
    """Report progress once the keeper answers, so that a keeper that cannot start is noticed before a long operation, not minutes later."""
    run.in_flight.await_first()
    run.events.progress(service, text)


def _discard_changed(run: Run, deployment: Deployment) -> None:
    """Discard the data whose seeds have changed, so that it is recreated."""
    run.in_flight.await_first()
    data = run.data(deployment)
    changed = list(changed_seeds(run.record, deployment, run.plan.services.values()))
    staying = data.staying(service for service, _ in changed)
    for service, what in changed:
        run.events.say(f"{service.name}: {what}: its data is created again")
        data.discard(service)
    for text in staying:
        run.events.say(text)


def _complete(run: Run, timer: Timer) -> None:
    """Write the outputs, record the end of the command, and let the instance outlive the command if it has no owner."""
    if run.record.expired:
        raise KeeperGone("its keeper has begun to remove it")
    run.write_outputs()
    run.update(lambda record: replace(record, state=InstanceState.UP, process="", timings_ms=dict(timer.phases)))
    if not run.record.owner:
        run.session.keepers.release(run.record.id)
