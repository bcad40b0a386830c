"""Removes an instance: everything with its id, then its record, then its keeper."""

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
"""Seconds after which that is there, too, what a killed command had asked an engine for."""


class Removed(NamedTuple):
    """An instance that was removed, the reason, and what could not be removed."""

    name: str
    id: str
    why: str = ""
    left: tuple[str, ...] = ()
    asked: bool = False
    """Nobody has waited for its end."""


def remove(session: Session, record: Record, wait: bool = True) -> Removed | None:
    """Removes an instance that has a record; None where it is another keeper's than the one for which we do it.

    Args:
        wait: until everything is gone, where the engine takes its time.

    Raises:
        EngineMissing: its engine does not answer.
    """
    engine = open_engine(record.location, session.host)
    with lock(session.store.folder(record.id)), shielded():
        record = session.store.load(record.id) or record  # whoever had the lock may have changed it
        if session.by_keeper and (_extended(session, engine, record) or _has_another_keeper(record)):
            return None
        asked = not wait and traits(record.engine).shares_namespaces  # the others end it before they answer
        return Removed(record.name, record.id, "", tuple(tear_down(session, engine, record, wait)), asked)


def _extended(session: Session, engine: Engine, record: Record) -> bool:
    """Whether somebody on another machine has given it more time than its keeper here, for which we remove it, knew of."""
    if not record.expired or traits(record.engine).runs_processes:  # processes of this machine carry no marker, and nobody else's command
        return False
    found = next((each for each in engine.list(record.id) if not each.ending), None)
    if found is None or (found.expires is not None and found.expires <= now()):
        return False
    ensure_keeper(session, session.store.update(record, lambda record: replace(record, expires=found.expires)), watched=False)
    return True


def _has_another_keeper(record: Record) -> bool:
    """Whether a command has started anew meanwhile, so that the keeper which calls us speaks of what is gone."""
    return not called_by(record.keeper) and process_alive(record.keeper) is True


def tear_down(session: Session, engine: Engine, record: Record, wait: bool = True) -> list[str]:
    """Removes everything of the instance. It returns what could not be removed; in that case the record stays."""
    killed, stop = was_killed(record), {} if session.by_keeper else record.stop
    note_removal(session, record, process_mark())  # by which the next command sees that we were killed
    keeper = session.keepers.find(record.id)
    left = [] if is_anothers(engine, record) else _removed(session, engine, record.id, stop, killed, wait)
    if left:
        note_removal(session, record, "")
        return left
    empty_outputs(session.store.load(record.id) or record)
    session.store.remove(record.id)
    # Last: until here a killed command is noticed by it.
    session.keepers.dismiss(keeper, record.id)
    return []


def is_anothers(engine: Engine, record: Record) -> bool:
    """Whether what is there under its id is another machine's: that has made it at the same time, or anew."""
    if not isinstance(engine, FindsPublishedRecords):
        return False
    try:
        found = engine.published(record.id, "")
    except EnvctlError:
        return False
    return found is not None and found.document.get("secret") not in (None, record.secret)


def note_removal(session: Session, record: Record, process: str) -> None:
    """Of a removal that *process* has begun; without one it is what is left of it.

    A full disk must not keep anybody from removing what fills it, nor may a record that is gone.
    """
    with suppress(OSError, UsageError, RecordGone, UnreadableRecord):
        session.store.update(record, lambda record: replace(record, state=InstanceState.REMOVING, process=process))


def clear(session: Session, engine: Engine, id: str, stop: Mapping[str, float], killed: bool = False) -> list[str]:
    """Removes everything with the label *id*, and the keeper; a record stays."""
    keeper = session.keepers.find(id)
    left = _removed(session, engine, id, stop, killed)
    session.keepers.dismiss(keeper, id)
    return left


def was_killed(record: Record) -> bool:
    """Whether a command ended while it worked on the instance."""
    return process_alive(record.process) is False


def _removed(session: Session, engine: Engine, id: str, stop: Mapping[str, float], killed: bool, wait: bool = True) -> list[str]:
    left = remove_everywhere(engine, session.host, id, stop, wait)
    if killed and not left:
        time.sleep(LAST_CREATE)
        left = remove_everywhere(engine, session.host, id, stop, wait)
    return left


def remove_by_label(session: Session, engine: Engine, name: str, id: str, why: str = "") -> Removed | None:
    """Removes everything with the label *id*, if there is no record, or none that can be read."""
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
    """Removes the instance of this checkout with that name or id; returns an empty list if there is none.

    Raises:
        UnreadableRecord: of that name there is a record that cannot be read, and nothing carries its label: it may be elsewhere.
        EngineMissing: its engine does not answer.
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
    except EnvctlError as error:  # its label may still be found where its record may not be read
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
    """What is known here of an instance that somebody else has removed; the cluster is not asked, which may have another one of its id."""
    with lock(session.store.folder(id)), shielded():
        record = session.store.load(id)
        if record is None or _has_another_keeper(record):
            return []
        empty_outputs(record)
        session.store.remove(id)
        return [Removed(record.name, id)]


def _remove_unreadable(session: Session, name: str, error: UnreadableRecord, wait: bool) -> list[Removed]:
    """What carries the id of a record that cannot be read, and then the record, where all of it is gone.

    Raises:
        UnreadableRecord: nothing carries it, and nobody has said that the record may go: a later version can read where it is.
    """
    id, agreed = error.id, name == error.id and not error.later and not session.by_keeper
    with lock(session.store.folder(id)), shielded():
        record = None
        with suppress(UnreadableRecord):  # another command may have written one while we waited for the lock
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
    """The names under which it was found, and what is left of it, or may be as its place cannot be asked.

    *agreed*: also where nothing is listed; not everybody may list everything.
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
    """Where it may be: what its record still says, and the places that are known; and the configured one that may not be asked."""
    from envctl.engines.choice import configured_cluster, known_locations

    left = []
    try:
        configured_cluster(session)
    except EnvctlError as why:
        left.append(f"what may be on the configured cluster ({why.message})")
    return list(dict.fromkeys([*_told_location(error.told), *known_locations(session)])), left


def _told_location(told: Any) -> list[Location]:
    """Where a damaged record says that its instance is, as far as that is to be believed."""
    parts = [told.get(key) for key in Location._fields] if isinstance(told, dict) else []
    if not parts or parts[0] not in engines_there_are() or not all(part is None or isinstance(part, str) for part in parts):
        return []
    return [Location._make(parts)]


def _without_record(session: Session, id: str) -> Iterator[Removed]:
    """What carries *id*, at the places that are known."""
    from envctl.engines.choice import known_locations

    for location in known_locations(session):
        engine = open_engine(location, session.host)
        for found in engine.list(id):
            removed = remove_by_label(session, engine, found.name, found.id)
            yield from [removed] if removed is not None else []


def remove_all(session: Session, wait: bool = True) -> list[Removed]:
    """Every instance of this checkout. What cannot be removed, as nobody answers or its record is unreadable, is named; the others go."""
    from envctl.inspect.lookup import records_here, unreadable_here

    removed = [done for record in records_here(session) if (done := _removed_or_left(session, record, wait)) is not None]
    return removed + [Removed(error.id, error.id, "", (error.message,)) for error in unreadable_here(session)]


def _removed_or_left(session: Session, record: Record, wait: bool) -> Removed | None:
    try:
        return remove(session, record, wait)
    except EnvctlError as error:
        return Removed(record.name, record.id, "", (error.message,))
