from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from envctl.instance.record import InstanceState, Record
from envctl.keeper.process_marks import kill_marked
from envctl.session import Session
from tests.builders import record_of, session_in
from tests.keeper_client.support import ID


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """Yield a session with a state folder of its own; kill its keepers at the end of the test."""
    found = session_in(tmp_path / "state", tmp_path)
    yield found
    found.keepers.dismiss(found.keepers.find(ID), ID)
    kill_marked(ID)


@pytest.fixture
def record(session: Session) -> Record:
    return session.store.create(record_of(engine="local", id=ID, state=InstanceState.UP))
