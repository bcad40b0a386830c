"""The last run of an instance that is gone: what its services logged, kept in the user's cache until its next run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from envctl.errors import UsageError
from envctl.files.folders import FileRefused
from envctl.inspect.lookup import project_here
from envctl.inspect.report import write_report
from envctl.instance.folder import make_folder, user_folder, why_foreign
from envctl.instance.identity import ID
from envctl.instance.record import Record
from envctl.session import Session

KEPT = 20
"""Instances of which the last run is kept."""


def keep_last_run(session: Session, record: Record) -> bool:
    """Keeps what the services of *record* have logged, before it goes; whether that could be done: it must not hide why it goes."""
    home = _home(session)
    with suppress(OSError, UsageError, FileRefused):
        make_folder(home)
        forget_last_run(session, record.id)
        write_report(session, record, home / record.id)
        for old in sorted(home.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return True
    return False


def forget_last_run(session: Session, id: str) -> None:
    """Its last run was green: nobody wants the logs of one before."""
    shutil.rmtree(_home(session) / id, ignore_errors=True)


def last_run(session: Session, name: str) -> dict[str, Path]:
    """Service to its log, of the last run of the instance of that name or id; empty where none is kept."""
    home = _home(session)
    if why_foreign(home):
        return {}
    return next((logs for id in _ids(session, name) if (logs := {path.stem: path for path in sorted((home / id).glob("*.log"))})), {})


def _ids(session: Session, name: str) -> Iterator[str]:
    if ID.fullmatch(name):
        yield name
    yield session.id_of(name, project_here(session))


def _home(session: Session) -> Path:
    return user_folder(session.environ, "XDG_CACHE_HOME", ".cache") / "envctl" / "last-runs"
