"""Check the user's keepers before every command: restart a keeper that was killed, or remove its instance."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from envctl.engines import open_engine
from envctl.engines.registry import traits
from envctl.errors import EnvctlError
from envctl.instance.lock import lock, sweep
from envctl.instance.machine import process_alive
from envctl.instance.record import Record
from envctl.keeper_client.client import QUICK, KeeperGone, KeeperSilent
from envctl.lifecycle.down import tear_down, was_killed
from envctl.lifecycle.keeper import ensure_keeper
from envctl.process.signals import shielded
from envctl.process.terminal import tell
from envctl.session import Session


def recover_here() -> None:
    """Clean up after a command that was killed before it had a keeper."""
    recover_instances(Session.here())


def recover_instances(session: Session, ending: Collection[str] = ()) -> None:
    """Restart keepers, or remove their instances.

    Args:
        ending: names or ids of instances that are about to be removed anyway and are left alone.
    """
    for record in session.store.all():
        if _lost(record) and not {record.name, record.id} & set(ending):
            with suppress(EnvctlError), lock(session.store.folder(record.id), wait=0.0):
                _recover(session, record.id)
    sweep(session.store.home)


def _lost(record: Record) -> bool:
    """Return whether the keeper was killed, or a command was: before it started a keeper, or while it created or removed the instance."""
    return process_alive(record.keeper or record.process) is False or (record.half_done and was_killed(record))


def _recover(session: Session, id: str) -> None:
    """Recover one instance; the caller holds its lock, so the record is checked again."""
    record = session.store.load(id)
    if record is None or not _lost(record) or _is_seen_to(session, record):
        return
    why = _why_gone(record)
    if why:
        _collect(session, record, why)
    else:
        ensure_keeper(session, record, watched=False)


def _is_seen_to(session: Session, record: Record) -> bool:
    """Return whether a live keeper watches the owner, and so notices the end of the command itself, or is already removing the instance."""
    keeper = session.keepers.find(record.id)
    if keeper is not None:
        try:
            return bool((keeper.ask("GET", "/v1/keeper", timeout=QUICK)[1] or {}).get("owned"))
        except KeeperSilent:
            return False
        except KeeperGone:
            pass
    return process_alive(record.keeper) is True  # during the removal, the keeper has no socket any more


def _why_gone(record: Record) -> str:
    if not record.keeper or (record.half_done and was_killed(record)):
        return "its command was killed"
    if traits(record.engine).runs_processes:
        return "its keeper was killed, and its processes with it"
    if record.expired:
        return f"expired {record.expires}"
    if process_alive(record.owner) is False:
        return "its owner has ended"
    return "its command was killed" if record.half_done else ""


def _collect(session: Session, record: Record, why: str) -> None:
    with shielded():
        left = tear_down(session, open_engine(record.location, session.host), record)
    tell(f"envctl: {record.name} ({record.id}) was removed: {why}{'; left behind: ' + ', '.join(left) if left else ''}")
