"""Makes an instance that another machine brought up usable on this one: its record comes from its engine, its ports are made here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from envctl.engines import Engine, FindsPublishedRecords, PublishedRecord, open_engine
from envctl.engines.choice import configured_cluster
from envctl.inspect.lookup import not_found, project_here, try_record
from envctl.instance.identity import ID
from envctl.instance.lock import lock
from envctl.instance.record import InstanceState, Location, Record, ServiceRecord
from envctl.instance.store import read_record
from envctl.lifecycle.keeper import ensure_keeper
from envctl.session import Session

THEIRS_ALONE = ("file", "write", "process", "keeper", "owner")
"""Paths and processes of the machine that brought it up."""
PORT = re.compile(r"(?<![^:])[0-9]+")
"""In what the tests receive, a port stands alone or behind a colon."""


def adopt(session: Session, engine: Engine, location: Location, name: str, project: str) -> Record | None:
    """The record of the instance with the id *name*, or with that name if its checkout is *project*; it is saved here.

    Args:
        engine: of that location.

    None where there is none.

    Raises:
        UnreadableRecord: a later version has published it, or it is damaged.
    """
    if not isinstance(engine, FindsPublishedRecords):
        return None
    published = engine.published(name, project)
    if published is None:
        return None
    record = read_published(published, location)
    with lock(session.store.folder(record.id)):
        # Another command may have adopted it, or brought it up, while we asked.
        return session.store.load(record.id) or _made_usable(session, engine, record, published)


def _made_usable(session: Session, engine: FindsPublishedRecords, record: Record, published: PublishedRecord) -> Record:
    """The record saved, its keeper and its ports; none of it stays where one of them fails."""
    session.store.create(record)
    try:
        ensure_keeper(session, record, watched=False)
        moved = engine.connect(record.id, published.access)
        return session.store.update(record, lambda record: _at_ports(record, moved))
    except BaseException:
        forget(session, record.id)
        raise


def forget(session: Session, id: str) -> None:
    """Removes its record and its keeper from this machine. The instance stays."""
    keeper = session.keepers.find(id)
    session.store.remove(id)
    session.keepers.dismiss(keeper, id)


def read_published(published: PublishedRecord, location: Location) -> Record:
    """The record of another machine, without the parts that concern only that machine.

    Raises:
        UnreadableRecord: a later version has published it, or it is damaged.
    """
    told = {key: value for key, value in published.document.items() if key not in THEIRS_ALONE}
    id = str(published.document["id"])
    record = read_record({**told, "file": "", **location._asdict()}, id, f"the record of {id} on {location.engine}")
    # A command of that machine works on it, or has: it is not for this one to tell.
    return replace(record, state=InstanceState.UP, choices=replace(record.choices, local=()))


def _at_ports(record: Record, moved: Mapping[int, int]) -> Record:
    """*record* with other ports in the place of those that somebody else has on this machine."""
    written = {str(port): str(fresh) for port, fresh in moved.items()}

    def at(value: Any) -> Any:
        if isinstance(value, str):
            return PORT.sub(lambda found: written.get(found[0], found[0]), value)
        if isinstance(value, Mapping):
            return {key: at(item) for key, item in value.items()}
        return moved.get(value, value) if isinstance(value, int) and not isinstance(value, bool) else value

    def at_ports(service: ServiceRecord) -> ServiceRecord:
        found = {key: replace(endpoint, port=moved.get(endpoint.port, endpoint.port)) for key, endpoint in service.endpoints.items()}
        unit = service.unit and replace(service.unit, server=at(service.unit.server), properties=at(service.unit.properties))
        return replace(service, endpoints=found, unit=unit)

    ports = {key: moved.get(number, number) for key, number in record.allocation.ports.items()}
    return replace(
        record,
        outputs=at(record.outputs),
        lanes=tuple(replace(lane, outputs=at(lane.outputs)) for lane in record.lanes),
        allocation=replace(record.allocation, ports=ports),
        services={name: at_ports(service) for name, service in record.services.items()},
    )


def find_or_adopt(session: Session, name: str) -> Record | None:
    """The record of *name* on this machine, or else of an instance on the configured cluster, which is made usable here.

    Raises:
        UsageError: several have that name.
        UnreadableRecord
    """
    record = try_record(session, name)
    if record is not None:
        return record
    project = project_here(session)
    if session.key(project) and not ID.fullmatch(name):
        # What has that name and another key is another job's, though its checkout has the same path: all hosted runners look alike.
        name = session.id_of(name, project)
    places = ((location, open_engine(location, session.host)) for location in configured_cluster(session))
    found = (adopt(session, engine, location, name, str(project)) for location, engine in places)
    return next((record for record in found if record is not None), None)


def record_named(session: Session, name: str) -> Record:
    """The same.

    Raises:
        UsageError: nothing of that name is up.
        UnreadableRecord
    """
    record = find_or_adopt(session, name)
    if record is None:
        raise not_found(session, name)
    return record
