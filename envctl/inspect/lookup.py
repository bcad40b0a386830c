"""The way from a name to the record of an instance of this checkout."""

from __future__ import annotations

from pathlib import Path

from envctl.definition.find import environments, project_of
from envctl.errors import UsageError, did_you_mean
from envctl.instance.record import Record
from envctl.instance.store import UnreadableRecord
from envctl.session import Session


def try_record(session: Session, name: str) -> Record | None:
    """Return the record of this checkout's instance with the name *name*, or of any instance with the id *name*; None if there is none.

    Raises:
        UnreadableRecord: the record exists, and this version cannot read it.
        UsageError: several instances have that name, and none of them has the caller's key.
    """
    # The name in an unreadable record is not known, but its id is.
    found = session.store.load(session.id_of(name, project_here(session))) or session.store.load(name)
    others = [record for record in records_here(session) if record.name == name] if found is None else []
    if len(others) > 1:
        ids = ", ".join(f"{record.id} (key {record.key})" if record.key else record.id for record in others)
        raise UsageError(f"several instances are called '{name}': {ids}", hint="name one by its id")
    return found or next(iter(others), None)


def called(session: Session, record: Record) -> str:
    """Return what a command in this checkout calls *record*: its name if the name works here, otherwise its id."""
    return record.name if session.id_of(record.name, project_here(session)) == record.id else record.id


def not_found(session: Session, name: str) -> UsageError:
    """Return the error for a *name* that no instance in this checkout has."""
    return UsageError(f"nothing named '{name}' is up in this checkout", hint=what_there_is(session, name))


def what_there_is(session: Session, name: str) -> str:
    """Return a hint for a *name* that no instance in this checkout has: where one exists, what is up here, or how to bring it up."""
    elsewhere = [record for record in session.store.all() if record.name == name]
    if elsewhere:
        return "; ".join(f"one is up in {record.project}: its id {record.id} works here, too" for record in elsewhere)
    if known := [record.name for record in records_here(session)]:
        return did_you_mean(name, known).replace("known:", "up here:")
    if name in environments(session.cwd):
        return f"`envctl up {name}` brings it up"
    return "nothing else is up in this checkout; `envctl list --all` shows what is up elsewhere"


def records_here(session: Session) -> list[Record]:
    """Return the readable records of this checkout."""
    project = str(project_here(session))
    return [record for record in session.store.all() if record.project == project]


def unreadable_here(session: Session) -> list[UnreadableRecord]:
    """Return the unreadable records of this checkout, which their ids identify."""
    digits = session.id_of("", project_here(session))
    return [error for error in session.store.unreadable() if error.id.endswith(digits)]


def service_of(record: Record, service: str) -> str:
    """Return *service*, which must be a service of the instance.

    Raises:
        UsageError: the instance has no such service.
    """
    if service not in record.services:
        raise UsageError(f"{record.name} has no service '{service}'", hint=did_you_mean(service, list(record.services)))
    return service


def project_here(session: Session) -> Path:
    """Return the project folder of the session's working directory."""
    return project_of(session.cwd)
