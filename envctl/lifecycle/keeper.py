"""The keeper of an instance, with the duties that its engine gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from envctl.engines.registry import traits
from envctl.instance.record import Record
from envctl.keeper_client.starting import Duties
from envctl.session import Session


def ensure_keeper(session: Session, record: Record, *, watched: bool) -> Record:
    """Makes sure that the instance has a keeper that knows when it expires; returns the keeper's mark.

    Args:
        watched: it tears the instance down when this process ends before it is released.

    Raises:
        KeeperSilent: one runs and does not answer.
        EnvctlError: it cannot be started.
    """
    record, answers = begin_keeper(session, record, watched=watched)
    answers()
    return record


def begin_keeper(session: Session, record: Record, *, watched: bool) -> tuple[Record, Callable[[], object]]:
    """The same, and what waits until it answers, as others can do something meanwhile; EnvctlError is raised there, too.

    Raises:
        KeeperSilent: one runs and does not answer.
        EnvctlError: it cannot be started.
    """
    told = traits(record.engine)
    marks = [record.keeper]

    def started(mark: str) -> None:
        marks.append(mark)
        session.store.update(record, lambda record: replace(record, keeper=mark))

    duties = Duties(processes=told.runs_processes or bool(record.choices.local), reseed=told.replaces_servers)
    answers = session.keepers.begin(record, duties, watched=watched, started=started)
    if duties.processes:  # whoever looks at those asks it, from the beginning
        answers()
    return replace(record, keeper=marks[-1]), answers
