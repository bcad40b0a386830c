"""An instance that another machine brought up, made usable on this one: its record is in the cluster, its forwards are made here."""

from __future__ import annotations

import re

from envctl import instance
from envctl.engines.choice import Location
from envctl.engines.common.ports import any_port, bindable
from envctl.engines.kubernetes import KubernetesEngine, open_engine
from envctl.engines.kubernetes.forwards import Forward, set_forwards
from envctl.engines.kubernetes.records import find
from envctl.instance import Record
from envctl.keeper_client import keepers


def adopted(place: Location, name: str, project: str) -> Record | None:
    """The record of the instance whose id is *name*, or whose name it is where *project* is its checkout too; saved here."""
    _, context, namespace = place
    engine = open_engine(context, namespace)
    found = _by_id(engine, name) or _by_name(engine, name, project)
    if found is None:
        return None
    record, forwards = found
    record.engine, record.context, record.namespace = place
    record.owner = ""  # its owner is a process of that machine, whose keeper minds it
    with instance.lock(record.id):
        record.save()
        keepers.ensure(record, watched=False)
        set_forwards(record.id, engine.api.context, engine.namespace or record.id, _at_free_ports(record, forwards), whole=True)
    return record


def _at_free_ports(record: Record, forwards: list[Forward]) -> list[Forward]:
    """The same ports as on the other machine, but for those that somebody else has on this one."""
    found = []
    for entry in forwards:
        host, port = entry["listen"]
        if bindable(port):
            found.append(entry)
        else:
            fresh = any_port()
            _move(record, port, fresh)
            found.append({**entry, "listen": [host, fresh]})
    record.save()
    return found


def _move(record: Record, port: int, fresh: int) -> None:
    """In what the tests receive, a port stands alone or behind a colon."""
    pattern = re.compile(rf"(^|:){port}(?![0-9])")
    record.outputs = {key: pattern.sub(rf"\g<1>{fresh}", text) for key, text in record.outputs.items()}
    record.ports = {key: fresh if number == port else number for key, number in record.ports.items()}
    for entry in record.services.values():
        for told in entry["endpoints"].values():
            told["port"] = fresh if told["port"] == port else told["port"]


RemoteRecord = tuple[Record, list[Forward]]


def _by_id(engine: KubernetesEngine, name: str) -> RemoteRecord | None:
    if not instance.ID.fullmatch(name):
        return None
    return next(iter(find(engine.api, engine.namespace or name, f"envctl.instance={name}")), None)


def _by_name(engine: KubernetesEngine, name: str, project: str) -> RemoteRecord | None:
    found = [each for each in find(engine.api, engine.namespace, f"envctl.name={name}") if each[0].project == project]
    return found[0] if len(found) == 1 else None
