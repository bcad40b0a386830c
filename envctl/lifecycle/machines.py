"""Share an instance between machines: one command at a time works on it, and learns what earlier commands have done to the data."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from envctl.engines import AdmitsReaders, Deployment, Engine, MadeElsewhere, PublishedRecord, SharedByMachines
from envctl.errors import OutOfTime
from envctl.instance.machine import known_here
from envctl.instance.record import Record
from envctl.lifecycle.adoption import read_published
from envctl.plan.model import ServicePlan

if TYPE_CHECKING:
    from envctl.lifecycle.bring_up import Run

POLL = 1.0
"""The seconds between two checks whether the other machine's command has ended."""


class StillWorkedOn(OutOfTime):
    """A command of another machine was still working on the instance at the deadline; nothing was changed."""


@contextmanager
def alone_among_machines(run: Run, engine: Engine) -> Iterator[None]:
    """Wait until no other machine works on the instance, keep other machines out, and record what they have done to the data.

    Raises:
        StillWorkedOn: a command of another machine was still working at the deadline.
        MadeElsewhere: another machine is creating the instance, has replaced it, or has removed it.
        UnreadableRecord: a later version of envctl has worked on the instance.
    """
    if not isinstance(engine, SharedByMachines):
        yield
        return
    with engine.alone(run.record.id, run.worker, _Waiting(run), run.lose, new=not run.record.was_up) as published:
        if published is not None:
            _take_over(run, engine, published)
        yield


class _Waiting:
    """A callback that pauses while another machine works on the instance; the first call reports this."""

    def __init__(self, run: Run) -> None:
        self._run, self._told = run, False

    def __call__(self) -> None:
        name = self._run.record.name
        if not self._told:
            self._run.events.say(f"{name}: waiting for a command of another machine that is working on it")
        self._told = True
        if time.monotonic() > self._run.deadline:
            raise StillWorkedOn(f"out of time: a command of another machine is still working on {name}")
        time.sleep(POLL)


def _take_over(run: Run, engine: Engine, published: PublishedRecord) -> None:
    """Take over what the published record says about data, except where the local record describes the current data."""
    record = run.record
    found = read_published(published, record.location)
    if found.secret != record.secret:
        raise MadeElsewhere(f"{record.id} was removed, and created again by another machine")
    services, local = run.plan.services, record.choices.local
    differing = [name for name in found.data if name in services and name not in local and record.data.get(name) != found.data[name]]
    if not differing:
        return
    deployment = run.deployment(engine, run.plan)
    there = {name: deployment.data_id(services[name]) for name in differing}
    news = [name for name in differing if found.data[name].data_id == there[name] != _data_id(record, name)]
    run.update(lambda record: with_data_of(record, found, news))


def _data_id(record: Record, service: str) -> str:
    return record.data[service].data_id if service in record.data else ""


def with_data_of(record: Record, found: Record, services: Iterable[str]) -> Record:
    """Return *record* with what *found* contains about the data of *services*."""
    news = list(services)
    snapshots = {name: kept for name, kept in record.snapshots.items() if name not in news}
    snapshots |= {name: kept for name, kept in found.snapshots.items() if name in news}
    return replace(record, data={**record.data, **{name: found.data[name] for name in news}}, snapshots=snapshots)


def discard_half_made(run: Run, deployment: Deployment, services: Iterable[ServicePlan]) -> None:
    """Discard data that another machine has not finished, because it is unknown here how far the other machine got."""
    if not (run.record.was_up and isinstance(deployment, AdmitsReaders)):
        return
    data = run.data(deployment)
    for service in services:
        if service.gated and not data.is_whole(service) and (by := deployment.made_by(service)) and not known_here(by, run.worker):
            run.events.say(f"{service.name}: another machine left its data incomplete, so it is created again")
            data.discard(service)
