"""Report that an owner is alive: a cluster's reaper cannot inspect processes of this machine, so it relies on these reports."""

from __future__ import annotations

import threading
from contextlib import suppress

from envctl.engines import OWNER_LASTS, Engine, HearsOfOwners, open_engine
from envctl.errors import EnvctlError
from envctl.instance.record import Record, now
from envctl.session import Session

EVERY = 15.0
"""The seconds between two reports; a report is valid for `OWNER_LASTS` seconds."""


def beat_while_owned(session: Session, engine: Engine, record: Record, every: float = EVERY) -> threading.Thread | None:
    """Start a thread that sends reports while this process and the instance exist.

    Returns:
        The thread; None if the instance has no owner, or the engine has no reaper.
    """
    if not record.owner or not isinstance(engine, HearsOfOwners):
        return None
    thread = threading.Thread(target=_beat, args=(session, engine, record, every), name="heartbeat", daemon=True)
    thread.start()
    return thread


def keep_for_a_look(session: Session, record: Record) -> None:
    """Make the reaper keep the instance until it expires, although its owner has ended."""
    with suppress(EnvctlError):
        engine = open_engine(record.location, session.host)
        if record.expires and isinstance(engine, HearsOfOwners):
            engine.heard_of_owner(record.id, record.expires)


def _beat(session: Session, engine: HearsOfOwners, record: Record, every: float) -> None:
    pause = threading.Event()
    while _is_owned(session, record):
        with suppress(EnvctlError):  # the next report may succeed
            engine.heard_of_owner(record.id, now(OWNER_LASTS))
        pause.wait(every)


def _is_owned(session: Session, record: Record) -> bool:
    try:
        found = session.store.load(record.id)
    except EnvctlError:
        return False
    return found is not None and found.secret == record.secret
