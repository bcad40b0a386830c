"""Make an instance that another machine created usable on this one: import its record from the engine, and open local ports for it."""

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
"""Fields of a record with paths and processes of the machine that created the instance."""
PORT = re.compile(r"(?<![^:])[0-9]+")
"""The pattern of a port in the values that tests receive: a number that stands alone or after a colon."""


def adopt(session: Session, engine: Engine, location: Location, name: str, project: str) -> Record | None:
    """Save and return the record of the instance with the id *name*, or with that name if its checkout is *project*.

    Args:
        engine: the engine at *location*.

    Returns:
        The record, or None if there is no such instance.

    Raises:
        UnreadableRecord: a later version published the record, or it is damaged.
    """
    if not isinstance(engine, FindsPublishedRecords):
        return None
    published = engine.published(name, project)
    if published is None:
        return None
    record = read_published(published, location)
    with lock(session.store.folder(record.id)):
        # Another command may have adopted or created the instance during the query.
        return session.store.load(record.id) or _made_usable(session, engine, record, published)


def _made_usable(session: Session, engine: FindsPublishedRecords, record: Record, published: PublishedRecord) -> Record:
    """Save the record, start a keeper and open the ports; undo all of it if a step fails."""
    session.store.create(record)
    try:
        ensure_keeper(session, record, watched=False)
        moved = engine.connect(record.id, published.access)
        return session.store.update(record, lambda record: _at_ports(record, moved))
    except BaseException:
        forget(session, record.id)
        raise


def forget(session: Session, id: str) -> None:
    """Remove the record and the keeper of the instance from this machine; the instance itself stays."""
    keeper = session.keepers.find(id)
    session.store.remove(id)
    session.keepers.dismiss(keeper, id)


def read_published(published: PublishedRecord, location: Location) -> Record:
    """Return the record that another machine published, without the parts that concern only that machine.

    Raises:
        UnreadableRecord: a later version published the record, or it is damaged.
    """
    told = {key: value for key, value in published.document.items() if key not in THEIRS_ALONE}
    id = str(published.document["id"])
    record = read_record({**told, "file": "", **location._asdict()}, id, f"the record of {id} on {location.engine}")
    # Whether a command of the other machine is working on the instance cannot be judged here.
    return replace(record, state=InstanceState.UP, choices=replace(record.choices, local=()))


def _at_ports(record: Record, moved: Mapping[int, int]) -> Record:
    """Return *record* with ports replaced as in *moved* (old to new), because the old ones are in use on this machine."""
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
    """Return the record of *name* on this machine, or else adopt the instance *name* from the configured cluster.

    Returns:
        The record, or None if there is no such instance.

    Raises:
        UsageError: several instances have that name.
        UnreadableRecord: the record cannot be read.
    """
    record = try_record(session, name)
    if record is not None:
        return record
    project = project_here(session)
    if session.key(project) and not ID.fullmatch(name):
        # An instance with this name and another key belongs to another job, even if its checkout has the same path, as on all hosted
        # runners.
        name = session.id_of(name, project)
    places = ((location, open_engine(location, session.host)) for location in configured_cluster(session))
    found = (adopt(session, engine, location, name, str(project)) for location, engine in places)
    return next((record for record in found if record is not None), None)


def record_named(session: Session, name: str) -> Record:
    """Return the record of *name*, as `find_or_adopt` does, but raise an error if there is none.

    Raises:
        UsageError: no instance has that name, or several have.
        UnreadableRecord: the record cannot be read.
    """
    record = find_or_adopt(session, name)
    if record is None:
        raise not_found(session, name)
    return record
