"""The conformance suite: what every engine must do, in the same words. Each test runs once for every engine that is here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests_support import ENGINES, REQUIRED, Project, missing


@pytest.fixture(params=ENGINES)
def on(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """A project on the engine under test."""
    engine = str(request.param)
    if engine in missing and engine not in REQUIRED:
        pytest.skip(f"no {engine} here: {missing[engine]}")
    folder = tmp_path / "envctl-tests"
    folder.mkdir()
    (folder / "envctl.toml").write_text("")
    project = Project(folder, engine)
    yield project
    project.down()
