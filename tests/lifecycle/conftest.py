from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from envctl.engines import ServiceState
from envctl.session import Session
from tests.builders import FakeDeployment, session_in
from tests.lifecycle.line import Line, MakeLine, healthy


@pytest.fixture
def line(tmp_path: Path) -> MakeLine:
    return partial(Line, tmp_path)


@pytest.fixture
def slow() -> Iterator[FakeDeployment]:
    """Yield a deployment whose `db` does not become healthy during the test."""
    deployment = FakeDeployment(seen={"db": ServiceState(True, health="starting")}, logged={"db": "still\nstarting"})
    yield deployment
    healthy(deployment, "db")()


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Return a session with the test's own state folder."""
    return session_in(tmp_path / "state", tmp_path)
