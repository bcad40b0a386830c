"""What exists: records on disk and what the engines see by label, told as one list, truthfully."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from envctl import instance
from envctl.engines import Engine, FoundInstance, open_engine
from envctl.engines.choice import known_locations
from envctl.engines.common.mixed import running_instance
from envctl.errors import EnvctlError
from envctl.inspect.lookup import project_of_here
from envctl.inspect.status import document
from envctl.instance import Record


def everything(all: bool, unseen: Callable[[str], None]) -> list[dict[str, Any]]:
    """Rows as `list --json` prints them, this checkout's or everybody's; *unseen* is told of engines that do not answer."""
    records = {record.id: record for record in instance.records()}
    seen = {found.id: (engine.name, found) for engine in engines(list(records.values()), unseen) for found in engine.list()}
    here = str(project_of_here())
    rows = [_row(records.get(id), *seen.get(id, ("", None))) for id in sorted({*records, *seen})]
    return [row for row in rows if all or row["project"] == here]


def engines(records: list[Record], unseen: Callable[[str], None]) -> list[Engine]:
    """Each engine that an instance of ours is on, and the default one where it is there."""
    wanted = {record.location for record in records} | set(known_locations())
    found = []
    for place in sorted(wanted, key=str):
        try:
            found.append(open_engine(*place))
        except EnvctlError as error:
            if any(record.location == place for record in records):
                unseen(error.message)
    return found


def _row(record: Record | None, engine: str, seen: FoundInstance | None) -> dict[str, Any]:
    if record is not None:
        return {
            "name": record.name, "id": record.id, "environment": record.environment, "engine": record.engine,
            "state": _state(record, seen), "created": record.created, "expires": record.expires, "project": record.project,
        }  # fmt: skip
    assert seen is not None
    state = "stopped" if not seen.running else "failed" if seen.running + seen.done < seen.total else "seeded"
    return {
        "name": seen.name, "id": seen.id, "environment": seen.environment, "engine": engine, "state": state,
        "created": seen.created, "expires": seen.expires, "project": seen.project,
    }  # fmt: skip


def _state(record: Record, seen: FoundInstance | None) -> str:
    if record.state == "starting":
        return "starting" if instance.process_alive(record.process) else "failed"
    if record.state in ("failed", "removing"):
        return "failed"
    if seen is None or not seen.running:
        return "stopped"
    with suppress(EnvctlError):
        return str(document(record, running_instance(record).states())["state"])
    return "stopped"
