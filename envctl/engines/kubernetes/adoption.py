"""An instance that another machine brought up, made usable on this one: its record is in the cluster, its forwards are made here."""

from __future__ import annotations

from envctl import instance, keeping
from envctl.engines.kubernetes import KubernetesEngine, open_engine
from envctl.engines.kubernetes.forwards import kept, set_forwards
from envctl.engines.kubernetes.records import find
from envctl.instance import Record

Place = tuple[str, str | None, str | None]


def adopted(place: Place, name: str, project: str) -> Record | None:
    """The record of the instance whose id is *name*, or whose name it is where *project* is its checkout too; saved here."""
    _, context, namespace = place
    engine = open_engine(context, namespace)
    found = _by_id(engine, name) or _by_name(engine, name, project)
    if found is None:
        return None
    record = found
    record.engine, record.context, record.namespace = place
    record.owner = ""  # its owner is a process of that machine, whose keeper minds it
    with instance.lock(record.id):
        record.save()
        reach(record, engine)
    return record


def _by_id(engine: KubernetesEngine, name: str) -> Record | None:
    if not instance.ID.fullmatch(name):
        return None
    return next((record for _, record in find(engine.api, engine.namespace or name, f"envctl.instance={name}")), None)


def _by_name(engine: KubernetesEngine, name: str, project: str) -> Record | None:
    found = [record for _, record in find(engine.api, engine.namespace, f"envctl.name={name}") if record.project == project]
    return found[0] if len(found) == 1 else None


def reach(record: Record, engine: KubernetesEngine) -> None:
    """Its endpoints on this machine: a keeper with the forwards, at the same ports."""
    keeping.ensure(record, watched=False)
    if not kept(record.id):
        set_forwards(record.id, engine.api.context, engine.namespace or record.id, record.forwards, whole=True)
