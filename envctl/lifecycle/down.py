"""Remove an instance: everything with its id, then its record, then its keeper."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from envctl.engines import Engine, FindsPublishedRecords, open_engine
from envctl.engines.mixed import remove_everywhere
from envctl.engines.registry import names as engines_there_are
from envctl.engines.registry import traits
from envctl.errors import EnvctlError, UsageError
from envctl.instance.identity import ID
from envctl.instance.lock import lock
from envctl.instance.machine import process_alive, process_mark
from envctl.instance.record import InstanceState, Location, Record, now
from envctl.instance.store import RecordGone, UnreadableRecord
from envctl.keeper_client.keepers import called_by
from envctl.lifecycle.keeper import ensure_keeper
from envctl.outputs import empty_outputs
from envctl.process.signals import shielded
from envctl.session import Session

LAST_CREATE = 1.0
"""The seconds to wait for objects that a killed command had requested from an engine and that appear later."""


class Removed(NamedTuple):
    """An instance that was removed, the reason, and what could not be removed."""

    name: str
    id: str
    why: str = ""
    left: tuple[str, ...] = ()
    asked: bool = False
    """The removal was requested, but not waited for."""


def remove(session: Session, record: Record, wait: bool = True) -> Removed | None:
    """Remove an instance that has a record.

    Args:
        wait: wait until everything is removed, even if the engine takes long.

    Returns:
        What was removed. None if a keeper started this command, and the instance was extended or has another keeper.

    Raises:
        EngineMissing: the instance's engine does not answer.
    """
    engine = open_engine(record.location, session.host)
    with lock(session.store.folder(record.id)), shielded():
        record = session.store.load(record.id) or record  # another command may have changed it before this one got the lock
        if session.by_keeper and (_extended(session, engine, record) or _has_another_keeper(record)):
            return None
        asked = not wait and traits(record.engine).shares_namespaces  # on other engines the removal is complete when they answer
        return Removed(record.name, record.id, "", tuple(tear_down(session, engine, record, wait)), asked)


def _extended(session: Session, engine: Engine, record: Record) -> bool:
    """Return whether another machine has extended the instance; the keeper that started this command does not know that."""
    if not record.expired or traits(record.engine).runs_processes:  # no other machine works on processes of this machine
        return False
    found = next((each for each in engine.list(record.id) if not each.ending), None)
    if found is None or (found.expires is not None and found.expires <= now()):
        return False
    ensure_keeper(session, session.store.update(record, lambda record: replace(record, expires=found.expires)), watched=False)
    return True


def _has_another_keeper(record: Record) -> bool:
    """Return whether a new keeper was started after the one that started this command."""
    return not called_by(record.keeper) and process_alive(record.keeper) is True


def tear_down(session: Session, engine: Engine, record: Record, wait: bool = True) -> list[str]:
    """Remove everything of the instance, and return what could not be removed; in that case the record stays."""
    killed, stop = was_killed(record), {} if session.by_keeper else record.stop
    note_removal(session, record, process_mark())  # so that the next command notices if this one is killed
    keeper = session.keepers.find(record.id)
    left = [] if is_anothers(engine, record) else _removed(session, engine, record.id, stop, killed, wait)
    if left:
        note_removal(session, record, "")
        return left
    empty_outputs(session.store.load(record.id) or record)
    session.store.remove(record.id)
    # Last: until here, the keeper notices if this command is killed.
    session.keepers.dismiss(keeper, record.id)
    return []


def is_anothers(engine: Engine, record: Record) -> bool:
    """Return whether the objects under the record's id belong to another machine, which has created them in the meantime."""
    if not isinstance(engine, FindsPublishedRecords):
        return False
    try:
        found = engine.published(record.id, "")
    except EnvctlError:
        return False
    return found is not None and found.document.get("secret") not in (None, record.secret)


def note_removal(session: Session, record: Record, process: str) -> None:
    """Record that *process* is removing the instance, or, if *process* is empty, that a removal is incomplete.

    Errors are ignored: neither a full disk nor a missing record may prevent the removal.
    """
    with suppress(OSError, UsageError, RecordGone, UnreadableRecord):
        session.store.update(record, lambda record: replace(record, state=InstanceState.REMOVING, process=process))


def clear(session: Session, engine: Engine, id: str, stop: Mapping[str, float], killed: bool = False) -> list[str]:
    """Remove everything with the label *id*, and the keeper, but not the record; return what could not be removed."""
    keeper = session.keepers.find(id)
    left = _removed(session, engine, id, stop, killed)
    session.keepers.dismiss(keeper, id)
    return left


def was_killed(record: Record) -> bool:
    """Return whether a command ended while it worked on the instance."""
    return process_alive(record.process) is False


def _removed(session: Session, engine: Engine, id: str, stop: Mapping[str, float], killed: bool, wait: bool = True) -> list[str]:
    left = remove_everywhere(engine, session.host, id, stop, wait)
    if killed and not left:
        time.sleep(LAST_CREATE)
        left = remove_everywhere(engine, session.host, id, stop, wait)
    return left


def remove_by_label(session: Session, engine: Engine, name: str, id: str, why: str = "") -> Removed | None:
    """Remove everything with the label *id*, if there is no readable record.

    Returns:
        What was removed. None if a keeper started this command, and the instance has another keeper.
    """
    with lock(session.store.folder(id)), shielded():
        with suppress(UnreadableRecord):
            record = session.store.load(id)
            if record is not None and session.by_keeper and _has_another_keeper(record):
                return None
        left = tuple(clear(session, engine, id, {}))
        if not left:
            session.store.remove(id)
        return Removed(name, id, why, left)


def remove_named(session: Session, name: str, wait: bool = True) -> list[Removed]:
    """Remove the instance of this checkout with the name or id *name*; return an empty list if there is none.

    Args:
        wait: wait until everything is removed, even if the engine takes long.

    Raises:
        UnreadableRecord: the record cannot be read, and no object with its label was found, so that the instance may be elsewhere.
        EngineMissing: the instance's engine does not answer.
    """
    from envctl.inspect.lookup import project_here
    from envctl.lifecycle.adoption import find_or_adopt

    if session.to_forget:
        return _forgotten(session, name)
    unseen: EnvctlError | None = None
    try:
        record = find_or_adopt(session, name)
    except UnreadableRecord as error:
        return _remove_unreadable(session, name, error, wait)
    except EnvctlError as error:  # objects with its label may be found even if its record may not be read
        record, unseen = None, error
    if record is not None:
        return [done for done in [remove(session, record, wait)] if done is not None]
    ids = dict.fromkeys([session.id_of(name, project_here(session)), *([name] if ID.fullmatch(name) else [])])
    try:
        removed = [done for id in ids for done in _without_record(session, id)]
    except EnvctlError as error:
        raise unseen or error from None
    if unseen is not None and not removed:
        raise unseen
    return removed


def _forgotten(session: Session, id: str) -> list[Removed]:
    """Remove what is known here about an instance that was removed elsewhere; on the cluster, a new instance may already have its id."""
    with lock(session.store.folder(id)), shielded():
        record = session.store.load(id)
        if record is None or _has_another_keeper(record):
            return []
        empty_outputs(record)
        session.store.remove(id)
        return [Removed(record.name, id)]


def _remove_unreadable(session: Session, name: str, error: UnreadableRecord, wait: bool) -> list[Removed]:
    """Remove everything with the id of an unreadable record, then the record.

    Raises:
        UnreadableRecord: nothing with the id was found, and the user did not name the id: a later version can read where the instance is.
    """
    id, agreed = error.id, name == error.id and not error.later and not session.by_keeper
    with lock(session.store.folder(id)), shielded():
        record = None
        with suppress(UnreadableRecord):  # another command may have written a record before this one got the lock
            record = session.store.load(id)
        if record is None:
            names, left = _cleared(session, error, agreed)
            if not names and not agreed:
                raise error
            if not left:
                session.store.remove(id)
            return [Removed(names[0] if names else id, id, "", tuple(dict.fromkeys(left)))]
    return [done for done in [remove(session, record, wait)] if done is not None]


def _cleared(session: Session, error: UnreadableRecord, agreed: bool) -> tuple[list[str], list[str]]:
    """Remove the instance at all known places; return the names found, and what is left or may be left at places without an answer.

    Args:
        agreed: try to remove even where nothing is listed, since listing may be forbidden.
    """
    places, left = _places(session, error)
    names: list[str] = []
    for location in places:
        try:
            engine = open_engine(location, session.host)
            found = [found.name for found in engine.list(error.id)]
            left += clear(session, engine, error.id, {}) if found or agreed else []
        except EnvctlError as why:
            left.append(f"what may be on {location.engine} ({why.message})")
        else:
            names += found
    return names, left


def _places(session: Session, error: UnreadableRecord) -> tuple[list[Location], list[str]]:
    """Return the places where the instance may be, and a note if the configured cluster cannot be queried."""
    from envctl.engines.choice import configured_cluster, known_locations

    left = []
    try:
        configured_cluster(session)
    except EnvctlError as why:
        left.append(f"what may be on the configured cluster ({why.message})")
    return list(dict.fromkeys([*_told_location(error.told), *known_locations(session)])), left


def _told_location(told: Any) -> list[Location]:
    """Return the place that a damaged record names, if it is plausible."""
    parts = [told.get(key) for key in Location._fields] if isinstance(told, dict) else []
    if not parts or parts[0] not in engines_there_are() or not all(part is None or isinstance(part, str) for part in parts):
        return []
    return [Location._make(parts)]


def _without_record(session: Session, id: str) -> Iterator[Removed]:
    """Remove everything with the label *id* at all known places."""
    from envctl.engines.choice import known_locations

    for location in known_locations(session):
        engine = open_engine(location, session.host)
        for found in engine.list(id):
            removed = remove_by_label(session, engine, found.name, found.id)
            yield from [removed] if removed is not None else []


def remove_all(session: Session, wait: bool = True) -> list[Removed]:
    """Remove every instance of this checkout. Instances that cannot be removed are listed in `left`, and do not stop the others."""
    from envctl.inspect.lookup import records_here, unreadable_here

    removed = [done for record in records_here(session) if (done := _removed_or_left(session, record, wait)) is not None]
    return removed + [Removed(error.id, error.id, "", (error.message,)) for error in unreadable_here(session)]


def _removed_or_left(session: Session, record: Record, wait: bool) -> Removed | None:
    try:
        return remove(session, record, wait)
    except EnvctlError as error:
        return Removed(record.name, record.id, "", (error.message,))
