"""Garbage collection: remove instances that have expired anywhere, and those that have lost their owner on this host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from envctl.engines import Engine, FoundInstance
from envctl.errors import EnvctlError, UsageError
from envctl.instance.lock import lock, sweep
from envctl.instance.machine import owner_alive, process_alive
from envctl.instance.record import Location, Record, now
from envctl.lifecycle.down import Removed, remove_by_label, tear_down
from envctl.process.signals import shielded
from envctl.session import Session


def collect(
    session: Session, engines: Mapping[Location, Engine], unseen: Callable[[str], None], project: Path | None = None
) -> Iterator[Removed]:
    """Remove expired and ownerless instances, and yield each; instances whose record cannot be read are left alone.

    Args:
        unseen: called with a message for each engine that does not answer.
        project: only remove instances of this checkout.
    """
    readable, broken = session.store.scan()
    records = {record.id: record for record in readable if project is None or record.project == str(project)}
    unreadable = {error.id for error in broken}
    listed: set[Location] = set()
    for location, engine in engines.items():
        try:
            there = engine.list()
        except EnvctlError as error:
            unseen(f"{error.message}; envctl cannot tell which instances are up there")
            continue
        listed.add(location)
        for found in there:
            if found.kept or found.ending:  # protected from removal, or already being removed; a record on this machine is handled below
                continue
            record = records.pop(found.id, None)
            ours = project is None or (record or found).project == str(project)
            why = _reason(found, record) if ours and found.id not in unreadable else ""
            if why and record is not None:
                yield from _removed(session, engine, record, why)
            elif why:
                yield from _unrecorded(session, engine, found, why)
    for record in records.values():
        if record.location in listed and not _busy(record):
            yield from _removed(session, engines[record.location], record, "nothing of it is left")
    sweep(session.store.home)


def _reason(found: FoundInstance, record: Record | None) -> str:
    expires = max(filter(None, (found.expires, record.expires if record else None)), default=None)
    if expires is not None and expires <= now():
        return f"expired {expires}"
    # With a local record, the mark of an earlier boot is known to be of an ended process.
    if (process_alive if record is not None else owner_alive)(found.owner) is False:
        return "its owner has ended"
    if record is not None and record.half_done and not _busy(record):
        return "its command was killed"
    return ""


def _busy(record: Record) -> bool:
    return bool(record.process) and process_alive(record.process) is not False


def _removed(session: Session, engine: Engine, record: Record, why: str) -> Iterator[Removed]:
    with suppress(UsageError), lock(session.store.folder(record.id), wait=2.0), shielded():
        if session.store.load(record.id) == record:  # else a command has worked on the instance since the check
            yield _torn_down(session, engine, record, why)


def _unrecorded(session: Session, engine: Engine, found: FoundInstance, why: str) -> Iterator[Removed]:
    try:
        removed = remove_by_label(session, engine, found.name, found.id, why)
    except EnvctlError as error:  # other instances are still removed
        removed = Removed(found.name, found.id, why, (error.message,))
    if removed is not None:
        yield removed


def _torn_down(session: Session, engine: Engine, record: Record, why: str) -> Removed:
    try:
        return Removed(record.name, record.id, why, tuple(tear_down(session, engine, record)))
    except EnvctlError as error:  # other instances are still removed
        return Removed(record.name, record.id, why, (error.message,))
