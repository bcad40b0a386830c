"""Fixtures for tests that use kinds with real servers: each module brings a few environments up, once for every available engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import ENGINES, REQUIRED, Project, missing


@pytest.fixture(scope="module", params=ENGINES)
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Yield a project on the engine under test, and remove its instances at the end of the module."""
    engine = str(request.param)
    if engine in missing and engine not in REQUIRED:
        pytest.skip(f"no {engine} here: {missing[engine]}")
    folder = tmp_path_factory.mktemp("kinds") / "envctl-tests"
    folder.mkdir()
    (folder / "envctl.toml").write_text("")
    project = Project(folder, engine)
    yield project
    project.down()
