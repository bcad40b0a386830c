"""The owner of an instance sends a heartbeat for as long as it owns the instance."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from envctl.engines import Engine
from envctl.errors import EnvctlError
from envctl.instance.record import Record, now
from envctl.lifecycle.heartbeat import beat_while_owned
from tests.builders import session_in

RECORD = Record("t", "t-123456", "t", "kubernetes", "/p", "/p/t.yaml", now(), "00" * 32, owner="host:1:2")


class Hearing:
    """An engine that records heartbeats; the first one fails."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.twice = threading.Event()

    def heard_of_owner(self, id: str, until: str) -> None:
        self.heard.append(until)
        if len(self.heard) == 1:
            raise EnvctlError("it does not answer")
        self.twice.set()


def beat(folder: Path, engine: Any, **changes: Any) -> threading.Thread | None:
    session = session_in(folder)
    record = session.store.create(replace(RECORD, **changes))
    return beat_while_owned(session, cast(Engine, engine), record, every=0.01)


def test_until_the_instance_is_gone(tmp_path: Path) -> None:
    engine = Hearing()
    thread = beat(tmp_path, engine)
    assert thread is not None
    assert engine.twice.wait(30)
    session_in(tmp_path).store.remove(RECORD.id)
    thread.join(30)
    assert not thread.is_alive()
    assert min(engine.heard) > now()


@pytest.mark.parametrize(("engine", "changes"), [(object(), {}), (Hearing(), {"owner": ""})])
def test_nobody_speaks_where_nobody_owns_it_or_listens(tmp_path: Path, engine: Any, changes: dict[str, Any]) -> None:
    assert beat(tmp_path, engine, **changes) is None
