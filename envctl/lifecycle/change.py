"""Changes to an existing instance: restart, seed, reset, extend."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from envctl.engines import Deployment, Engine, open_engine
from envctl.engines.mixed import running_instance
from envctl.errors import UsageError
from envctl.inspect.lookup import called, service_of
from envctl.instance.labels import labels_of
from envctl.instance.lock import lock
from envctl.instance.record import DataRecord, Record
from envctl.instance.store import RecordGone
from envctl.lifecycle import units
from envctl.lifecycle.bring_up import Run, bring_up, part_of
from envctl.lifecycle.data import begun_otherwise, refuse_changed_seeds
from envctl.lifecycle.events import EventLog, Events, Listener, Phase
from envctl.lifecycle.expiry import expiry
from envctl.lifecycle.keeper import ensure_keeper
from envctl.lifecycle.machines import alone_among_machines
from envctl.lifecycle.options import DEFAULT_TIMEOUT
from envctl.lifecycle.planning import plan_of_instance
from envctl.lifecycle.snapshots import begin_as_kept
from envctl.plan.model import ServicePlan
from envctl.session import Session
from envctl.units import UnitError
from envctl.units.connections import once


class Way(NamedTuple):
    """How a reset is carried out.

    Attributes:
        use: calls a function with the driver of a server.
        shared: allow concurrent resets of other lanes; the caller must make sure that the lanes differ.
        ahead: prepare the next reset immediately.
    """

    use: units.Use = once
    shared: bool = False
    ahead: bool = True


class Reset(NamedTuple):
    """The result of a reset.

    Attributes:
        done: the services whose data was restored: to the seeded state, or to the state after the first start if there are no seeds.
        left: servers of a Compose file whose data was kept, because the caller did not name them.
    """

    done: tuple[str, ...]
    left: tuple[str, ...] = ()


class Change(NamedTuple):
    """The work of a command on an existing instance."""

    run: Run
    engine: Engine

    def deployment(self, services: Iterable[str] | None = None) -> Deployment:
        """Return a deployment of all services, or of *services* only; creating some services leaves the rest unchanged."""
        return self.run.deployment(self.engine, self.run.plan if services is None else part_of(self.run.plan, services))

    def planned(self, service: str) -> ServicePlan:
        """Return the plan of *service*.

        Raises:
            UsageError: the instance has no such service, or the service runs elsewhere (`--use`).
        """
        service_of(self.run.record, service)
        if service not in self.run.plan.services:
            raise UsageError(f"{service} runs elsewhere (--use); envctl cannot change it")
        return self.run.plan.services[service]

    def refuse_changed_seeds(self, services: Iterable[str]) -> None:
        """Raise UsageError if the seeds of *services* have changed since their data was made."""
        known = called(self.run.session, self.run.record)
        refuse_changed_seeds(self.run.record, known, self.deployment(), [self.planned(name) for name in services])

    def begin(self, services: Iterable[str]) -> None:
        """Report that *services* are about to be brought up."""
        self.run.events.begin(part_of(self.run.plan, services))

    def bring_up(self, services: Sequence[str], again: Collection[str] = (), keep: bool = False) -> None:
        """Bring *services* up and write the outputs; the arguments and errors are those of `bring_up.bring_up`."""
        bring_up(self.run, self.deployment(), services, again, keep)
        self.run.write_outputs()


def restart(
    session: Session,
    record: Record,
    service: str,
    *,
    build: bool = False,
    listeners: Sequence[Listener] = (),
    timeout: float = DEFAULT_TIMEOUT,
) -> None:
    """Stop and start one service, with *build* from a new image; ports and data stay.

    Raises:
        UsageError: the instance has no such service, or the service runs elsewhere.
    """
    with _changing(session, record, listeners, timeout) as change:
        change.refuse_changed_seeds([service])
        part, planned = change.deployment([service]), change.planned(service)
        change.begin([service])
        if build:
            part.prepare(change.run.events.progress)
        if planned.once:
            part.discard(planned)
        if build or planned.once:
            part.create(whole=False)
            change.run.data(part).know_again([planned])
        else:
            change.run.events.tell(service, Phase.STOPPING)
            change.deployment().stop(planned)
        change.bring_up([service], again=[service])


def seed(
    session: Session, record: Record, services: Iterable[str] = (), *, listeners: Sequence[Listener] = (), timeout: float = DEFAULT_TIMEOUT
) -> None:
    """Run the seed steps that have not been run yet, of all services or of *services*.

    Raises:
        UsageError: the instance has no such service, or other steps have seeded its data.
    """
    with _changing(session, record, listeners, timeout) as change:
        seeded = list(services) or [service.name for service in change.run.plan.services.values() if service.steps]
        change.refuse_changed_seeds(seeded)
        change.begin(seeded)
        change.bring_up(seeded)


def reset(
    session: Session,
    record: Record,
    services: Iterable[str] = (),
    *,
    lane: int | None = None,
    listeners: Sequence[Listener] = (),
    timeout: float = DEFAULT_TIMEOUT,
    checked: bool = True,
    way: Way = Way(),
) -> Reset:
    """Restore the seeded state, everywhere or in one lane; services that use the data keep running.

    A driver of `envctl.units` restores the data if it can. Other data is discarded and made again.

    Args:
        checked: recreate data that other seed steps than the current ones have made. Tests that reset often turn this off to save time.

    Raises:
        UsageError: there is no such service or lane.
        UnitError: a server refused the reset.
    """
    wanted = list(services)
    with _alone(session, record, way.shared) as record:
        chosen = units.services_of(record, wanted, lane)
        changed = _seeded_otherwise(session, record, chosen) if checked else set()
        found = [each for each in units.resettable(record, chosen, lane) if each.name not in changed]
        slow = _to_make(record, wanted if lane is None else (), chosen, {each.name for each in found})
        _refuse_shared_data(session, record, slow)
        lost = units.reset(found, way.use)
        if way.ahead:
            with suppress(UnitError):  # the next reset reports the error
                units.prepare(found, way.use)
    quick = {each.name for each in found} - set(lost)
    emptied = [each.name for each in found if each.seeded and each.name in quick]
    anew = _to_make(record, wanted, chosen, quick)
    if lane is not None:
        _refuse_shared(record, anew, lane)
        anew = [name for name in anew if record.services[name].data]
    if anew or emptied:
        _made_anew(session, record, anew, emptied, listeners, timeout)
    done = {*quick, *anew}
    left = tuple(name for name in chosen if record.services[name].unseeded and name not in done)
    return Reset(tuple(name for name in chosen if name in done), left)


def _to_make(record: Record, wanted: Sequence[str], chosen: Iterable[str], quick: Collection[str]) -> list[str]:
    """Return the services whose data must be recreated because no driver resets it."""
    return [name for name in chosen if name not in quick and (wanted or record.services[name].data)]


def _refuse_shared_data(session: Session, record: Record, names: Sequence[str]) -> None:
    """Raise an error if the data of one of *names* cannot be discarded, before anything is changed.

    Raises:
        UsageError: all data of a service is shared.
    """
    if names:
        with _opened(session, record, (), math.inf) as change:
            change.run.data(change.deployment(names)).staying([change.planned(name) for name in names])


def _seeded_otherwise(session: Session, record: Record, services: Collection[str]) -> set[str]:
    """Return the services whose data was made by other seed steps or scripts; none if the definition no longer exists."""
    if not Path(record.file).exists():
        return set()
    plan = plan_of_instance(session, record, open_engine(record.location, session.host))
    there = [plan.services[name] for name in services if name in plan.services and name in record.data]
    return {each.name for each in there if _is_otherwise(each, record.data[each.name])}


def _is_otherwise(service: ServicePlan, known: DataRecord) -> bool:
    return known.steps != tuple(step.hash for step in service.steps) or begun_otherwise(service, known)


def prepare_reset(session: Session, record: Record, services: Iterable[str] = (), *, lane: int | None = None, way: Way) -> None:
    """Prepare the next reset of this kind in advance, so that it is fast."""
    with _alone(session, record, way.shared) as record:
        units.prepare(units.resettable(record, units.services_of(record, list(services), lane), lane), way.use)


def _refuse_shared(record: Record, services: Sequence[str], lane: int) -> None:
    """Raise UsageError if the data of a service that all lanes share would have to be recreated for one lane."""
    for name in services:
        if not record.services[name].lane:
            hint = f"`envctl reset {record.name} {name}` resets it for all of them"
            raise UsageError(f"{name} is shared by all lanes, and cannot be reset for lane {lane} alone", hint=hint)


def _made_anew(
    session: Session, record: Record, anew: Sequence[str], emptied: Sequence[str], listeners: Sequence[Listener], timeout: float
) -> None:
    """Discard the data of the services *anew*, and seed it again together with that of *emptied*, which a driver has already emptied."""
    with _changing(session, record, listeners, timeout) as change:
        services = [change.planned(name) for name in anew]
        part, names = change.deployment(anew), (*anew, *emptied)
        data = change.run.data(part)
        staying = data.staying(services)
        change.begin(names)
        if anew:
            part.prepare(change.run.events.progress)
        change.run.update(lambda record: replace(record, data={k: _forgotten(v, k in emptied) for k, v in record.data.items()}))
        for service in services:
            data.discard(service)
        for text in staying:
            change.run.events.say(text)
        if anew:
            begin_as_kept(change.run, part, services)
            part.create(whole=False)
        change.bring_up(names, keep=True)


def _forgotten(data: DataRecord, emptied: bool) -> DataRecord:
    return replace(data, steps=(), units=()) if emptied else data


def extend(session: Session, record: Record, seconds: float) -> Record:
    """Set the expiry to *seconds* from now, and return the new record. The keeper learns it first, because the keeper removes the instance.

    Raises:
        KeeperSilent: the keeper did not confirm it; nothing has changed.
    """
    with _alone(session, record) as record:
        expires = expiry(session, record.engine, seconds)
        record = ensure_keeper(session, replace(record, expires=expires), watched=False)
        running_instance(session.host, record.location, record.id, record.choices.local).renew(expires, labels_of(record))
        return session.store.update(record, lambda record: replace(record, expires=expires))


@contextmanager
def _changing(session: Session, record: Record, listeners: Sequence[Listener], timeout: float) -> Iterator[Change]:
    deadline = time.monotonic() + timeout
    session.mask.add(record.secrets)
    with (
        _alone(session, record) as record, _opened(session, record, listeners, deadline) as change,
        alone_among_machines(change.run, change.engine),
    ):  # fmt: skip
        change.run.data(change.deployment()).know_again(change.run.plan.services.values())
        yield change


@contextmanager
def _opened(session: Session, record: Record, listeners: Sequence[Listener], deadline: float) -> Iterator[Change]:
    engine = open_engine(record.location, session.host)
    plan = plan_of_instance(session, record, engine)
    session.mask.add(plan.secrets)
    events = Events([*listeners, EventLog(session.store.folder(record.id))])
    run = Run(session, record, plan, events, deadline)
    try:
        yield Change(run, engine)
    finally:
        run.close()


@contextmanager
def _alone(session: Session, record: Record, shared: bool = False) -> Iterator[Record]:
    """Hold the lock of the instance, and yield its current record."""
    with lock(session.store.folder(record.id), shared=shared):
        found = session.store.load(record.id)
        if found is None or found.secret != record.secret:
            raise RecordGone(f"{record.name} has been removed in the meantime")
        yield found
