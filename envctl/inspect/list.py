"""The list of instances, from the records on disk and from the objects that the engines find by label."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from envctl.engines import Engine, FoundInstance, open_engine, open_engines
from envctl.engines.choice import configured_cluster, known_locations
from envctl.engines.mixed import running_instance
from envctl.errors import EnvctlError
from envctl.inspect.lookup import project_here, unreadable_here
from envctl.inspect.status import UNKNOWN, document
from envctl.instance.machine import process_alive
from envctl.instance.record import InstanceState, Location, Record
from envctl.session import Session


def everything(session: Session, all: bool, unseen: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return the rows that `list --json` prints.

    Args:
        all: whether instances of other projects are included.
        unseen: receives a message about each engine that does not answer (the state of its instances is `unknown`) and each record that
            cannot be read.
    """
    records = {record.id: record for record in session.store.all()}
    for error in session.store.unreadable() if all else unreadable_here(session):
        unseen(f"{error.message}; {error.hint}")
    found: dict[str, tuple[str, FoundInstance]] = {}
    asked = set()
    for location, engine in engines(session, unseen).items():
        try:
            found |= {each.id: (engine.name, each) for each in engine.list()}
        except EnvctlError as error:
            unseen(f"{error.message}; envctl cannot tell which instances are up there")
        else:
            asked.add(location)
    here = str(project_here(session))
    ids = [id for id in sorted({*records, *found}) if all or (records.get(id) or found[id][1]).project == here]
    look = _Look(session, unseen, asked)
    return [_row(look, records.get(id), *found.get(id, ("", None))) for id in ids]


def of_others(session: Session, unseen: Callable[[str], None]) -> list[FoundInstance]:
    """Return the instances that another machine has brought up on the configured cluster, from a project folder with the same path."""
    here, known = str(project_here(session)), {record.id for record in session.store.all()}
    try:
        found = [each for location in configured_cluster(session) for each in open_engine(location, session.host).list()]
    except EnvctlError as error:
        unseen(f"{error.message}; envctl cannot tell which instances are up there")
        return []
    return [each for each in found if each.project == here and each.id not in known and not each.ending]


class _Look(NamedTuple):
    """The state of one listing; *asked* are the locations that have answered."""

    session: Session
    unseen: Callable[[str], None]
    asked: Collection[Location]


def engines(session: Session, unseen: Callable[[str], None], only: str | None = None) -> dict[Location, Engine]:
    """Return each engine that has an instance, and each engine that may have some; with *only*, just the engines of that name.

    Args:
        unseen: receives a message about each engine that does not answer.
    """
    try:
        configured_cluster(session)
    except EnvctlError as error:
        unseen(f"{error.message}; envctl cannot tell which instances are up there")
    used = {record.location for record in session.store.all()}
    places = sorted((each for each in used | set(known_locations(session)) if only in (None, each.engine)), key=str)
    found: dict[Location, Engine] = {}
    for location, opened in open_engines(places, session.host).items():
        if isinstance(opened, EnvctlError):
            unseen(f"{opened.message}; envctl cannot tell which instances are up there")
        else:
            found[location] = opened
    return found


def _row(look: _Look, record: Record | None, engine: str, found: FoundInstance | None) -> dict[str, Any]:
    told = record or found
    assert told is not None
    return {
        "name": told.name, "id": told.id, "environment": told.environment, "engine": record.engine if record else engine,
        "state": _state(look, record, found), "created": told.created, "expires": told.expires, "project": told.project,
    }  # fmt: skip


def _state(look: _Look, record: Record | None, found: FoundInstance | None) -> str:
    if record is not None and record.state is InstanceState.STARTING:
        return "starting" if process_alive(record.process) else "failed"
    if record is not None and record.state in (InstanceState.FAILED, InstanceState.REMOVING):
        return "failed"
    if record is not None and record.location not in look.asked:
        return UNKNOWN
    if found is not None and found.unseen:
        look.unseen(found.unseen)
        return UNKNOWN
    if found is None or found.ending or not found.running:
        return "stopped"
    if record is None:
        return "failed" if found.running + found.done < found.total else "seeded"
    return _of_services(look, record)


def _of_services(look: _Look, record: Record) -> str:
    try:
        there = running_instance(look.session.host, record.location, record.id, record.choices.local)
        return str(document(record, there.states())["state"])
    except EnvctlError as error:
        look.unseen(f"{record.name}: {error.message}")
        return UNKNOWN
