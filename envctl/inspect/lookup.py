"""NAME -> the record of an instance of this checkout."""

from __future__ import annotations

from pathlib import Path

from envctl import instance
from envctl.definition.find import project_of
from envctl.errors import UsageError, did_you_mean
from envctl.instance import Record


def find_record(name: str, project: Path | None = None) -> Record:
    """The record of *name*, or of an id.

    Raises:
        UsageError: nothing of that name is up here.
    """
    record = try_record(name, project)
    if record is None:
        known = [record.name for record in records_here(project)]
        raise UsageError(
            f"nothing named '{name}' is up in this checkout", hint=did_you_mean(name, known) or f"`envctl up {name}` brings it up"
        )
    return record


def try_record(name: str, project: Path | None = None) -> Record | None:
    project = project or project_of(Path.cwd())
    found = [record for record in instance.records() if record.name == name and record.project == str(project)]
    return found[0] if found else instance.load(name) or _from_cluster(name, project)


def _from_cluster(name: str, project: Path) -> Record | None:
    """An instance that was brought up on another machine, by its id; by its name where that is of a checkout at the same place."""
    from envctl.engines.choice import configured_cluster

    for place in configured_cluster():
        from envctl.engines.kubernetes.adoption import adopted

        record = adopted(place, name, str(project))
        if record is not None:
            return record
    return None


def records_here(project: Path | None = None) -> list[Record]:
    project = project or project_of(Path.cwd())
    return [record for record in instance.records() if record.project == str(project)]


def service_of(record: Record, service: str) -> str:
    """*service*, which must be one of the instance.

    Raises:
        UsageError: it is none.
    """
    if service not in record.services:
        raise UsageError(f"{record.name} has no service '{service}'", hint=did_you_mean(service, list(record.services)))
    return service


def project_of_here() -> Path:
    return project_of(Path.cwd())
