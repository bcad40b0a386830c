"""What exists: records on disk and what the engines see by label, told as one list, truthfully."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from envctl.engines import Engine, FoundInstance, open_engine
from envctl.engines.choice import known_locations
from envctl.engines.mixed import running_instance
from envctl.errors import EnvctlError
from envctl.inspect.lookup import project_here, unreadable_here
from envctl.inspect.status import document
from envctl.instance.identity import process_alive
from envctl.instance.record import InstanceState, Location, Record
from envctl.session import Session


def everything(session: Session, all: bool, unseen: Callable[[str], None]) -> list[dict[str, Any]]:
    """Rows as `list --json` prints them; *unseen* is told of engines that do not answer, and of records that cannot be read."""
    records = {record.id: record for record in session.store.all()}
    for error in session.store.unreadable() if all else unreadable_here(session):
        unseen(f"{error.message}; {error.hint}")
    found: dict[str, tuple[str, FoundInstance | None]] = {}
    for engine in engines(session, unseen).values():
        found |= {each.id: (engine.name, each) for each in engine.list()}
    rows = [_row(session, records.get(id), *found.get(id, ("", None))) for id in sorted({*records, *found})]
    here = str(project_here(session))
    return [row for row in rows if all or row["project"] == here]


def engines(session: Session, unseen: Callable[[str], None]) -> dict[Location, Engine]:
    """Each engine that an instance of ours is on, and the default ones where they are there."""
    used = {record.location for record in session.store.all()}
    found: dict[Location, Engine] = {}
    for location in sorted(used | set(known_locations(session)), key=str):
        try:
            found[location] = open_engine(location, session.host)
        except EnvctlError as error:
            unseen(f"{error.message}; what is on it is {'shown as stopped' if location in used else 'not shown'}")
    return found


def _row(session: Session, record: Record | None, engine: str, found: FoundInstance | None) -> dict[str, Any]:
    told = record or found
    assert told is not None
    return {
        "name": told.name, "id": told.id, "environment": told.environment, "engine": record.engine if record else engine,
        "state": _state(session, record, found), "created": told.created, "expires": told.expires, "project": told.project,
    }  # fmt: skip


def _state(session: Session, record: Record | None, found: FoundInstance | None) -> str:
    if record is not None and record.state is InstanceState.STARTING:
        return "starting" if process_alive(record.process) else "failed"
    if record is not None and record.state in (InstanceState.FAILED, InstanceState.REMOVING):
        return "failed"
    if found is None or not found.running:
        return "stopped"
    if record is None:
        return "failed" if found.running + found.done < found.total else "seeded"
    with suppress(EnvctlError):
        return str(document(record, running_instance(session.host, record.location, record.id, record.choices.local).states())["state"])
    return "stopped"
