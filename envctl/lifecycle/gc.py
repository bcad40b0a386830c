"""Removing: one instance by name, all of a checkout, or whatever has expired or lost its owner."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from envctl import instance
from envctl.engines import Engine, FoundInstance, open_engine
from envctl.engines.choice import Location
from envctl.errors import UsageError
from envctl.instance import Record
from envctl.keeper_client import keepers
from envctl.lifecycle.down import clear, tear_down
from envctl.process.signals import shielded


@dataclass(frozen=True)
class Removed:
    """An instance that was removed, why, and what could not be."""

    name: str
    id: str
    why: str
    left: tuple[str, ...] = ()


def remove(record: Record, wait: bool = True) -> Removed | None:
    """Removes an instance that has a record; None where it is another keeper's than the one for which we do it.

    Args:
        wait: until everything is gone, where the engine takes its time.
    """
    engine = open_engine(*record.location)
    with instance.lock(record.id), shielded():
        record = instance.load(record.id) or record  # whoever had the lock may have changed it
        if _extended(engine, record):
            return None
        return None if keepers.replaced(record) else Removed(record.name, record.id, "", tuple(tear_down(engine, record, wait)))


def _extended(engine: Engine, record: Record) -> bool:
    """Whether somebody on another machine has given it more time than its keeper here, for which we remove it, knew of."""
    if not (os.environ.get(keepers.BY_KEEPER) and record.expired):
        return False
    seen = next((seen for seen in engine.list() if seen.id == record.id), None)
    if seen is None or (seen.expires is not None and seen.expires <= instance.now()):
        return False
    record.expires = seen.expires
    record.save()
    keepers.ensure(record, watched=False)
    return True


def remove_by_label(engine: Engine, name: str, id: str, why: str = "") -> Removed | None:
    """Removes what carries *id*, where there is no record of it, or none that can be read."""
    with instance.lock(id), shielded():
        record = instance.load(id)
        if record is not None and keepers.replaced(record):
            return None
        left = tuple(clear(engine, id, {}))
        if not left:
            instance.forget(id)
        return Removed(name, id, why, left)


def collect(engines: Mapping[Location, Engine]) -> Iterator[Removed]:
    """Removes what has expired anywhere, and what has lost its owner on this host."""
    records = {record.id: record for record in instance.records()}
    for engine in engines.values():
        for seen in engine.list():
            record = records.pop(seen.id, None)
            why = _reason(seen, record)
            if why:
                yield from _collected(engine, seen, record, why)
    for record in records.values():
        engine_there = engines.get(record.location)
        if engine_there is not None and not _busy(record):
            yield from _removed(engine_there, record, "nothing of it is there")
    instance.sweep()


def _reason(seen: FoundInstance, record: Record | None) -> str:
    expires = max(filter(None, (seen.expires, record.expires if record else None)), default=None)
    if expires is not None and expires <= instance.now():
        return f"expired {expires}"
    if seen.owner and instance.process_alive(seen.owner) is False:
        return "its owner has ended"
    if record is not None and record.state in ("starting", "removing") and not _busy(record):
        return "its command was killed"
    return ""


def _busy(record: Record) -> bool:
    return bool(record.process) and instance.process_alive(record.process) is not False


def _collected(engine: Engine, seen: FoundInstance, record: Record | None, why: str) -> Iterator[Removed]:
    if record is None:
        removed = remove_by_label(engine, seen.name, seen.id, why)
        if removed is not None:
            yield removed
    else:
        yield from _removed(engine, record, why)


def _removed(engine: Engine, record: Record, why: str) -> Iterator[Removed]:
    with suppress(UsageError), instance.lock(record.id, wait=2.0), shielded():
        if instance.load(record.id) == record:  # else a command has worked on it since we looked
            yield Removed(record.name, record.id, why, tuple(tear_down(engine, record)))
