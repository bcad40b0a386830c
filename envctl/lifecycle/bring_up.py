"""Bring services up in parallel: each service goes through the stages as soon as its needs are met."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from envctl.engines import Deployment, DeploymentSettings, Engine, PublishesRecords
from envctl.engines.mixed import deployment_of
from envctl.errors import EnvctlError, OutOfTime
from envctl.inspect.lookup import called
from envctl.instance.codec import encode
from envctl.instance.labels import labels_of
from envctl.instance.machine import process_mark
from envctl.instance.record import Record
from envctl.instance.store import RecordGone
from envctl.keeper.process_marks import MARK
from envctl.lifecycle.claiming import with_states
from envctl.lifecycle.data import Data
from envctl.lifecycle.events import Events
from envctl.lifecycle.evidence import evidence_of
from envctl.lifecycle.exits import Exits
from envctl.lifecycle.public_urls import public_faults, sentences, with_public_faults
from envctl.lifecycle.service_states import Abandoned, ServiceStates
from envctl.lifecycle.stages import STAGES
from envctl.lifecycle.start_limiter import StartLimiter, priorities
from envctl.outputs import process_variables, with_all_written, write_outputs
from envctl.plan.model import Plan, ServicePlan
from envctl.process.creation import InFlight
from envctl.readiness.wait import History, probe_named
from envctl.seeding import Seeder
from envctl.seeding.command import end_all
from envctl.session import Session


@dataclass
class Run:
    """The work of one command on one instance.

    Attributes:
        record: the record as it was last written; only `update` changes it.
        plan: the plan of the whole instance.
        deadline: the deadline of the whole command, on the clock of `time.monotonic`.
        reseed: recreate data if its seeds have changed, instead of raising an error.
        lacking: the services whose data could have a snapshot but has none.
        worth_keeping: the services in `lacking` whose data took long to make.
    """

    session: Session
    record: Record
    plan: Plan
    events: Events
    deadline: float
    reseed: bool = False
    lacking: Collection[str] = ()
    worth_keeping: set[str] = field(default_factory=set)
    in_flight: InFlight = field(default_factory=InFlight)
    _changing: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False
    _lost: EnvctlError | None = None

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables for programs that this command starts, with the mark by which a keeper finds them if this process is killed."""
        return {**self.session.environ, MARK: self.record.id}

    @property
    def worker(self) -> str:
        """The identity of this command for other machines: a hash of the state folder, and the mark of this process."""
        return f"{hashlib.sha256(str(self.session.store.home).encode()).hexdigest()[:12]}@{process_mark()}"

    def deployment(self, engine: Engine, plan: Plan) -> Deployment:
        """Return a deployment of the services of *plan*, each at its engine, with settings from the current record."""
        record = self.record
        settings = DeploymentSettings(
            folder=self.session.store.folder(record.id),
            environ=self.environ,
            in_flight=self.in_flight,
            labels=labels_of(record),
            expires=record.expires,
            cluster=dict(record.choices.kubernetes),
            document=encode(record),
            snapshots=record.snapshots,
            worker=self.worker,
            new=not record.was_up,
        )
        return deployment_of(engine, self.session.host, plan, settings)

    def data(self, deployment: Deployment) -> Data:
        """Return access to what the record says about the data in *deployment*."""
        return Data(self.update, lambda: self.record, deployment)

    def update(self, change: Callable[[Record], Record]) -> None:
        """Write the record that *change* returns.

        Raises:
            RecordGone: the instance was removed in the meantime, this command has ended, or another machine has taken over.
        """
        with self._changing:
            if self._lost is not None:
                raise RecordGone(str(self._lost), hint=self._lost.hint)
            if self._closed:
                raise RecordGone(f"the command that worked on {self.record.name} ({self.record.id}) has ended")
            self.record = self.session.store.update(self.record, change)

    def write_outputs(self) -> None:
        """Write the outputs to the files of `write:`.

        Raises:
            UsageError: envctl did not write one of the existing files.
        """
        if self.record.write:
            write_outputs(with_all_written(self.record, self.session.store.all()), self._note_written)

    def _note_written(self, hashes: Sequence[str]) -> None:
        """Record the hashes of files that are about to be written; earlier ones stay, since a kill may come between any two steps."""
        self.update(lambda record: replace(record, written=tuple(dict.fromkeys((*record.written[-20:], *hashes)))))

    def lose(self, why: EnvctlError) -> None:
        """Refuse further updates with the error *why*, because another machine has taken over the instance."""
        with self._changing:
            self._lost = why

    def close(self) -> None:
        """End the command: threads that continue (such as seeds) can no longer update or report, as another command may hold the lock."""
        with self._changing:
            self._closed = True
        self.events.end()


@dataclass
class BringUp:
    """The state that the threads of one `bring_up` share.

    Attributes:
        was_up: the instance was available to its users before.
        again: jobs that are run again even if they have run before.
        keep: a copy of the seeded data is kept for resets.
        whole: all services are brought up, not only some.
        lacking, worth_keeping: as in `Run`.
        began: service to the time when it was started, on the clock of `time.monotonic`.
        histories: service to the results of its probes.
    """

    plan: Plan
    deployment: Deployment
    states: ServiceStates
    data: Data
    seeder: Seeder
    called: str = ""
    """The name of the instance, as a user would type it here."""
    worker: str = ""
    """The identity of this command for other machines (`Run.worker`)."""
    was_up: bool = False
    again: Collection[str] = ()
    keep: bool = False
    whole: bool = True
    lacking: Collection[str] = ()
    worth_keeping: set[str] = field(default_factory=set)
    began: dict[str, float] = field(default_factory=dict)
    exits: Exits = field(init=False)
    histories: dict[str, History] = field(default_factory=dict)
    limiter: StartLimiter = field(default_factory=lambda: StartLimiter(max(2, os.cpu_count() or 2)))
    priority: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.exits = Exits(self)
        self.priority = priorities(self.plan)


def bring_up(
    run: Run, deployment: Deployment, services: Iterable[str] | None = None, again: Collection[str] = (), keep: bool = False
) -> None:
    """Bring *services* (default: all of the plan) to their final states, and return when all are complete.

    Args:
        again: jobs that are run again even if they have run before.
        keep: keep a copy of the seeded data for resets.

    Raises:
        ServiceFailed, OutOfTime: with evidence about the service that caused the failure.
        RecordGone: the instance was removed in the meantime.
    """
    plan = run.plan if services is None else part_of(run.plan, services)
    states = ServiceStates(plan.services, run.events)
    variables = {**run.environ, **run.plan.outputs, **process_variables(run.record)}
    work = BringUp(
        plan, deployment, states, run.data(deployment),
        Seeder(run.plan, deployment, variables, plan.folder), called=called(run.session, run.record), worker=run.worker,
        was_up=run.record.was_up, again=again,
        keep=keep, whole=services is None, lacking=run.lacking, worth_keeping=run.worth_keeping,
    )  # fmt: skip
    try:
        _bring_up(work, run.deadline)
    except BaseException:
        end_all(run.record.id)
        with suppress(Exception):  # the user must see the first failure
            run.update(lambda record: with_states(record, states.rows))
        raise
    run.update(lambda record: with_states(record, states.rows))
    deployment.finish(frozenset(name for name, service in run.plan.services.items() if work.data.is_whole(service)))
    if faults := public_faults(run.plan, run.record, run.deadline):
        run.update(lambda record: with_public_faults(record, faults))
        for sentence in sentences(run.record):
            run.events.say(sentence)
    if isinstance(deployment, PublishesRecords):
        deployment.publish(encode(run.record))


def part_of(plan: Plan, services: Iterable[str]) -> Plan:
    """Return the plan of some services only; other services, whose definition or source may have changed, are not touched."""
    return replace(plan, services={name: replace(plan.services[name], needs={}) for name in services})


def _bring_up(work: BringUp, deadline: float) -> None:
    states, services = work.states, list(work.plan.services.values())
    finals = {service.name: service.final for service in services}
    try:
        with work.deployment.exit_events(work.exits.happened, states.fail):
            threading.Thread(target=_import_probes, args=(services,), name="probes", daemon=True).start()
            for service in sorted(services, key=lambda service: -work.priority[service.name]):
                threading.Thread(target=_through_stages, args=(work, service), name=service.name, daemon=True).start()
            if not states.wait_all(finals, deadline) and not states.failed:
                states.fail(_out_of_time(work, finals))
            work.exits.look_again(services)
    except BaseException as error:
        states.fail(error)  # so that the threads of the services stop, too
        raise
    if states.failure is not None:
        raise states.failure


def _through_stages(work: BringUp, service: ServicePlan) -> None:
    """Run all stages for one service; any exception ends the whole `bring_up`."""
    try:
        for stage in STAGES:
            work.states.go_on()
            stage(work, service)
    except Abandoned:
        pass
    except BaseException as error:
        work.states.fail(error, service.name)


def _import_probes(services: Iterable[ServicePlan]) -> None:
    """Import the probes while servers start: a driver takes as long to import as some servers need to get ready."""
    for name in dict.fromkeys(check.probe for service in services for check in service.checks):
        with suppress(Exception):  # the stage that needs the probe reports the error
            probe_named(name)


def _out_of_time(work: BringUp, finals: Mapping[str, str]) -> OutOfTime:
    """Return the error for the first service, in starting order, that is not complete yet."""
    rows = work.states.rows
    late = next(s for s in work.plan.services.values() if rows[s.name].state != finals[s.name])
    row = rows[late.name]
    said = f"{row.state}: {row.detail}" if row.detail else row.state
    return OutOfTime(f"out of time: {late.name} is still {said}", evidence_of(work, late, row.state))
