"""Start and kill keepers in tests of the keeper's client."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import Any

from envctl.instance.record import Record
from envctl.keeper_client.client import KeeperClient
from envctl.keeper_client.starting import Duties
from envctl.session import Session
from tests.processes import running, until

ID = f"h-{os.getpid() % 0x1000000:06x}"
"""An instance id that no other concurrent test run uses, because the tests kill all processes with this id."""


def ensure(session: Session, record: Record, *, watched: bool = False, **changes: Any) -> KeeperClient:
    """Change *record*, then start or find its keeper as a command does; return the keeper's client."""
    record = session.store.update(record, lambda record: replace(record, **changes))

    def started(mark: str) -> None:
        session.store.update(record, lambda record: replace(record, keeper=mark))

    return session.keepers.begin(record, Duties(processes=True), watched=watched, started=started)()


def shown(keeper: KeeperClient) -> dict[str, Any]:
    status, content = keeper.ask("GET", "/v1/keeper")
    assert status == 200
    return dict(content)


def killed(keeper: KeeperClient) -> None:
    os.kill(keeper.pid, signal.SIGKILL)
    until(lambda: not running(keeper.pid))
