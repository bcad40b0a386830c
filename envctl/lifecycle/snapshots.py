"""Start servers of an instance from snapshots, and make snapshots of data that took long to make.

An untrusted definition (`--untrusted`) neither uses nor makes snapshots.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from envctl.engines import BringsKept, Deployment, KeepsData, KeptData, open_engine
from envctl.errors import EnvctlError
from envctl.instance.folder import snapshots_folder
from envctl.instance.machine import in_container
from envctl.instance.record import SnapshotRecord
from envctl.lifecycle.options import UpOptions
from envctl.plan.model import Plan, ServicePlan
from envctl.process.spawning import spawn_detached
from envctl.process.threads import each
from envctl.session import Session
from envctl.snapshots.index import Entry, Index
from envctl.snapshots.keys import can_be_kept, kept_steps, key_of

if TYPE_CHECKING:
    from envctl.lifecycle.bring_up import Run

NOTHING = "ENVCTL_NO_SNAPSHOTS"
LOG = "last.log"


def begin_as_kept(run: Run, deployment: Deployment, services: Iterable[ServicePlan], *, allowed: bool = True) -> None:
    """Let those of *services* that have no data start from their snapshots; the images must be available.

    Services without a snapshot are noted in `run.lacking`.

    Args:
        allowed: use snapshots for services that do not already depend on one.
    """
    if not isinstance(deployment, KeepsData):
        return
    allowed = allowed and not (run.record.choices.untrusted or run.session.environ.get(NOTHING))
    asked = [each for each in services if each.name in run.record.snapshots or (allowed and can_be_kept(run.plan, each))]
    fresh = [service for service in asked if not deployment.data_id(service)]
    began = {name: kept for name, kept in run.record.snapshots.items() if name not in {service.name for service in fresh}}
    if began != run.record.snapshots:  # an unfinished copy of a snapshot does not count
        run.update(lambda record: replace(record, snapshots=began))
    if allowed and (fresh := keepable(deployment, run.plan, fresh)):
        if why := deployment.unable if isinstance(deployment, BringsKept) else "":
            if any(kept_steps(service) for service in fresh):
                run.events.progress("", f"{run.record.engine} makes no snapshot, so data is seeded each time: {why}")
        else:
            found = find(run.session, deployment, run.plan, [service.name for service in fresh])
            run.lacking = [name for name, kept in found.items() if kept is None]
            began = began | _brought(run, deployment, {name: kept for name, kept in found.items() if kept is not None})
    if began != run.record.snapshots:
        run.update(lambda record: replace(record, snapshots=began))
    deployment.restore(began)


def _brought(run: Run, deployment: Deployment, found: Mapping[str, SnapshotRecord]) -> dict[str, SnapshotRecord]:
    """Bring the snapshots to their services, and return those that succeeded; a failure is reported, and the service is seeded instead."""
    began = {}

    def bring(name: str) -> None:
        try:
            kept = found[name]
            if isinstance(deployment, BringsKept):
                kept = deployment.bring(run.plan.services[name], kept, run.events.progress)
            began[name] = kept
        except EnvctlError as error:
            run.events.progress(name, f"its data is seeded again: {error.message}")

    each(bring, found)
    return began


def keepable(deployment: KeepsData, plan: Plan, services: Iterable[ServicePlan]) -> list[ServicePlan]:
    """Return those of *services* whose data can be kept."""
    return [service for service in services if can_be_kept(plan, service) and (not service.from_compose or deployment.holds(service))]


def find(session: Session, deployment: KeepsData, plan: Plan, names: list[str]) -> dict[str, SnapshotRecord | None]:
    """Return the snapshots for the services *names* of *plan*; None for services without one."""
    index = Index(snapshots_folder(session.environ))
    return {name: _usable(session, index, deployment, plan.services[name], key) for name, key in keys(deployment, plan, names).items()}


def keys(deployment: KeepsData, plan: Plan, names: list[str]) -> dict[str, str]:
    """Return the keys of the snapshots for the services *names* of *plan*."""
    assert plan.of_nobody is not None
    nobodys = plan.of_nobody()
    return {name: key_of(nobodys, name, deployment.identity) for name in names}


def _usable(session: Session, index: Index, deployment: KeepsData, service: ServicePlan, key: str) -> SnapshotRecord | None:
    """Return the snapshot for *key*, if it exists and its content has not changed since this user kept it."""
    place = deployment.place(service)
    entry = index.find(key, place.engine, place.context or "")
    if entry is None:
        return None
    engine = open_engine(place, session.host)
    if not (isinstance(engine, KeptData) and engine.has(entry.ref, entry.content)):
        return None
    index.used(entry)
    return record_of(entry)


def record_of(entry: Entry) -> SnapshotRecord:
    """Return what an instance records about a snapshot."""
    return SnapshotRecord(entry.key, entry.ref, entry.content, entry.steps, entry.units)


def build_later(session: Session, options: UpOptions, run: Run) -> None:
    """Start a background process that makes the missing snapshots with a twin while the tests run; its failure is ignored.

    It is not started in the container of a CI job: it would be killed at the end of the job, and leave its twin behind.
    """
    if not run.worth_keeping or (session.environ.get("CI") and in_container()):
        return
    with suppress(OSError):
        folder = snapshots_folder(session.environ)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / LOG).open("wb") as log:
            process = spawn_detached(
                ["nice", "-n", "15", sys.executable, "-m", "envctl", "snapshots", "build", "-"],
                env=dict(session.environ), stdin=subprocess.PIPE, stdout=log, stderr=log,
            )  # fmt: skip
        assert process.stdin is not None
        with process.stdin as stdin:
            stdin.write(json.dumps(request(session, options, run)).encode())


def request(session: Session, options: UpOptions, run: Run) -> Mapping[str, Any]:
    """Return the input of the background process: the same environment, opened from the same folder."""
    return {
        "cwd": str(session.cwd),
        "services": sorted(run.worth_keeping),
        "options": asdict(replace(options, environment=run.record.file, engine=run.record.engine)),
    }
