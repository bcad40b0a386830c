"""Every command minds the keepers first: one that was killed is started again, or its instance is collected."""

from __future__ import annotations

import sys
from collections.abc import Collection
from contextlib import suppress

from envctl import instance
from envctl.errors import EnvctlError
from envctl.instance import Record


def recover_instances(ending: Collection[str] = ()) -> None:
    """Instances whose name or id is in *ending* are about to go anyway."""
    for record in instance.records():
        if _alone(record) and not {record.name, record.id} & set(ending):
            with suppress(EnvctlError), instance.lock(record.id, wait=0.0):
                _minded(record.id)
    instance.sweep()


def _alone(record: Record) -> bool:
    """Whether its keeper has been killed, or a command was: before it had started one, or at its own work beside one that lives on."""
    return instance.process_alive(record.keeper or record.process) is False or _half_done(record)


def _half_done(record: Record) -> bool:
    return record.state in ("starting", "removing") and instance.process_alive(record.process) is False


def _minded(id: str) -> None:
    """Looked at again, now that nobody else works on it."""
    record = instance.load(id)
    if record is None or not _alone(record) or _is_seen_to(record):
        return
    why = _why_gone(record)
    if why:
        _collect(record, why)
    else:
        from envctl.keeper_client import keepers

        keepers.ensure(record, watched=False)


def _is_seen_to(record: Record) -> bool:
    """Whether a keeper that lives has noticed the end of the command itself, or is about to: it watches its owner."""
    from envctl.keeper_client import keepers

    keeper = keepers.find(record.id)
    if keeper is None:  # while it removes the instance it has no address any more
        return instance.process_alive(record.keeper) is True
    with suppress(keepers.KeeperGone):
        return bool((keeper.ask("GET", "/v1/keeper", timeout=keepers.QUICK)[1] or {}).get("owned"))
    return False


def _why_gone(record: Record) -> str:
    if not record.keeper or _half_done(record):
        return "its command was killed"
    if record.engine == "local":
        return "its keeper was killed, and its processes with it"
    if record.expired:
        return f"expired {record.expires}"
    if record.owner and instance.process_alive(record.owner) is False:
        return "its owner has ended"
    return "its command was killed" if record.state in ("starting", "removing") else ""


def _collect(record: Record, why: str) -> None:
    from envctl.engines import open_engine
    from envctl.lifecycle.down import tear_down
    from envctl.process.signals import shielded

    with shielded():
        left = tear_down(open_engine(*record.location), record)
    print(f"envctl: {record.name} ({record.id}) was removed: {why}{'; left behind: ' + ', '.join(left) if left else ''}", file=sys.stderr)
