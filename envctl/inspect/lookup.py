"""NAME -> the record of an instance of this checkout."""

from __future__ import annotations

from pathlib import Path

from envctl.definition.find import environments, project_of
from envctl.errors import UsageError, did_you_mean
from envctl.instance.record import Record
from envctl.instance.store import UnreadableRecord
from envctl.session import Session


def try_record(session: Session, name: str) -> Record | None:
    """The record of the instance of this checkout that is called *name*, or of the one whose id that is; None where there is none.

    Raises:
        UnreadableRecord: there is one, and this version cannot read it.
        UsageError: several have that name, and none of them is this caller's own.
    """
    # A record that cannot be read does not say its name, but its id does.
    found = session.store.load(session.id_of(name, project_here(session))) or session.store.load(name)
    others = [record for record in records_here(session) if record.name == name] if found is None else []
    if len(others) > 1:
        ids = ", ".join(f"{record.id} (key {record.key})" if record.key else record.id for record in others)
        raise UsageError(f"several instances are called '{name}': {ids}", hint="name one by its id")
    return found or next(iter(others), None)


def called(session: Session, record: Record) -> str:
    """How a command that is typed here refers to *record*: by its name if that works here, otherwise by its id."""
    return record.name if session.id_of(record.name, project_here(session)) == record.id else record.id


def not_found(session: Session, name: str) -> UsageError:
    return UsageError(f"nothing named '{name}' is up in this checkout", hint=what_there_is(session, name))


def what_there_is(session: Session, name: str) -> str:
    """A hint for a *name* that no instance of this checkout has: where there is one, what else is up here, or how to bring it up."""
    elsewhere = [record for record in session.store.all() if record.name == name]
    if elsewhere:
        return "; ".join(f"one is up in {record.project}: its id {record.id} works here, too" for record in elsewhere)
    if known := [record.name for record in records_here(session)]:
        return did_you_mean(name, known).replace("known:", "up here:")
    if name in environments(session.cwd):
        return f"`envctl up {name}` brings it up"
    return "nothing else is up in this checkout; `envctl list --all` shows what is up elsewhere"


def records_here(session: Session) -> list[Record]:
    """Of this checkout, as far as they can be read."""
    project = str(project_here(session))
    return [record for record in session.store.all() if record.project == project]


def unreadable_here(session: Session) -> list[UnreadableRecord]:
    """Of this checkout, those that cannot be read: whose they are shows in their ids."""
    digits = session.id_of("", project_here(session))
    return [error for error in session.store.unreadable() if error.id.endswith(digits)]


def service_of(record: Record, service: str) -> str:
    """*service*, which must be one of the instance.

    Raises:
        UsageError: it is none.
    """
    if service not in record.services:
        raise UsageError(f"{record.name} has no service '{service}'", hint=did_you_mean(service, list(record.services)))
    return service


def project_here(session: Session) -> Path:
    return project_of(session.cwd)
