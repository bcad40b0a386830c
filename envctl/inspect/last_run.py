"""The logs of an instance's last run, kept in the user's cache after the instance is removed, until its next run."""

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
"""The number of instances whose last run is kept."""


def keep_last_run(session: Session, record: Record) -> bool:
    """Keep the logs of *record* before its instance is removed. Return whether that worked; a failure never hides why the instance ends."""
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
    """Remove the kept logs of the instance *id*: after a run without failures, older logs would be misleading."""
    shutil.rmtree(_home(session) / id, ignore_errors=True)


def last_run(session: Session, name: str) -> dict[str, Path]:
    """Return the services and the paths of their logs, from the last run of the instance with this name or id; empty if none is kept."""
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
