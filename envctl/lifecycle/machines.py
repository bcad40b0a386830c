"""Machines that share an instance: one at a time works on it, and learns what the last one has done to its data."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from envctl.engines import Deployment, Engine, Handover, Left, SharedByMachines
from envctl.errors import EnvctlError, OutOfTime
from envctl.inspect.lookup import called
from envctl.instance.record import Location, Record
from envctl.lifecycle.adoption import read_published
from envctl.lifecycle.bring_up import Run
from envctl.plan.model import ServicePlan

POLL = 1.0
"""Seconds between two looks at whether the other machine has ended."""


@contextmanager
def alone_among_machines(run: Run, engine: Engine) -> Iterator[None]:
    """While no other machine works on the instance; what that has made of the data is in the record, and how it ended in `Run.left`.

    Raises:
        OutOfTime: another one did until the deadline.
        UnreadableRecord: a later version has worked on it.
    """
    if not isinstance(engine, SharedByMachines):
        yield
        return
    with engine.alone(run.record.id, run.worker, _Waiting(run), new=not run.record.was_up) as handover:
        _take_over(run, handover)
        yield


class _Waiting:
    """Says once that another machine is waited for."""

    def __init__(self, run: Run) -> None:
        self._run, self._told = run, False

    def __call__(self) -> None:
        name = self._run.record.name
        if not self._told:
            self._run.events.say(f"{name}: waits for a command of another machine that works on it")
        self._told = True
        if time.monotonic() > self._run.deadline:
            raise OutOfTime(f"out of time: a command of another machine still works on {name}")
        time.sleep(POLL)


def _take_over(run: Run, handover: Handover) -> None:
    run.left = handover.left
    if handover.record is None:
        return
    record = run.record
    found = read_published(handover.record, Location(record.engine, record.context, record.namespace))
    run.update(lambda record: with_data_of(record, found))


def with_data_of(record: Record, found: Record) -> Record:
    """*record* with what the record of another machine contains about the data."""
    return replace(record, data={**record.data, **found.data}, snapshots=found.snapshots)


def discard_half_made(run: Run, deployment: Deployment, services: Iterable[ServicePlan], retry: bool = True) -> None:
    """Discards data that another machine has not finished, because nobody knows how far it got.

    Args:
        retry: also where it failed there; it may fail here as well.

    Raises:
        EnvctlError: it failed there, and there is no *retry*.
    """
    if run.left is Left.DONE:
        return
    data = run.data(deployment)
    for service in services:
        if data.is_whole(service) or not _is_unknown(run.record, service.name, deployment.data_id(service)):
            continue
        if run.left is Left.FAILED and not retry:
            hint = f"`envctl reset {called(run.session, run.record)} {service.name}` makes its data anew"
            raise EnvctlError(f"{service.name}: a command of another machine failed while its data was made", hint=hint)
        run.events.say(f"{service.name}: another machine left its data half made: it is made anew")
        data.discard(service)


def _is_unknown(record: Record, service: str, data_id: str) -> bool:
    """Whether there is data which nobody has finished: what a machine has made is published when all of it is there."""
    found = record.data.get(service)
    return bool(data_id) and (found is None or found.data_id != data_id)
