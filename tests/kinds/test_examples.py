"""The environments that ship with envctl: their own tests pass, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support import REPO, Project, labelled


@pytest.mark.parametrize("name", ["streaming", "shop"])
def test_its_own_tests_pass_and_nothing_is_left(home: Project, name: str) -> None:
    if home.engine == "local" and name == "streaming":
        pytest.skip("kafka only runs in a container")
    copied = home.folder / "environments" / name
    ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache")
    shutil.copytree(REPO / "environments" / name, copied, ignore=ignored)
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"environments/{name}/tests"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = home.envctl("run", name, "--", *tests, env={"PATH": path}).ok()
    assert " passed" in done.out
    assert "failed" not in done.out
    assert home.envctl("list", "--json").ok().json == []
    assert not _left(home.folder)


def _left(folder: Path) -> list[str]:
    return [thing for thing in labelled() if str(folder) in thing]
