"""Start the keeper of an instance with the duties that its engine requires."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from envctl.engines.registry import traits
from envctl.instance.record import Record
from envctl.keeper_client.starting import Duties
from envctl.session import Session


def ensure_keeper(session: Session, record: Record, *, watched: bool) -> Record:
    """Start a keeper for the instance, or tell the running one when the instance expires; return the record with the keeper's mark.

    Args:
        watched: the keeper removes the instance if this process ends before it releases the keeper.

    Raises:
        KeeperSilent: a keeper runs, but does not answer.
        EnvctlError: the keeper cannot be started.
    """
    record, answers = begin_keeper(session, record, watched=watched)
    answers()
    return record


def begin_keeper(session: Session, record: Record, *, watched: bool) -> tuple[Record, Callable[[], object]]:
    """Do the same as `ensure_keeper`, but do not wait until the keeper answers, so that the caller can work in the meantime.

    Returns:
        The record with the keeper's mark, and a function that waits for the answer; the function may raise EnvctlError.

    Raises:
        KeeperSilent: a keeper runs, but does not answer.
        EnvctlError: the keeper cannot be started.
    """
    told = traits(record.engine)
    marks = [record.keeper]

    def started(mark: str) -> None:
        marks.append(mark)
        session.store.update(record, lambda record: replace(record, keeper=mark))

    duties = Duties(processes=told.runs_processes or bool(record.choices.local), reseed=told.replaces_servers)
    answers = session.keepers.begin(record, duties, watched=watched, started=started)
    if duties.processes:  # every query about local processes goes to the keeper, from the beginning
        answers()
    return replace(record, keeper=marks[-1]), answers
