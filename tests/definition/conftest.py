"""Write definitions to a temporary project folder, load them and check them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from envctl.definition.kinds import load_kinds
from envctl.definition.load import Loaded, load
from envctl.environment import check
from envctl.errors import Problem

Write = Callable[..., Path]
Load = Callable[..., Loaded]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "envctl.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(project: Path) -> Write:
    def writing(text: str, name: str = "shop.yaml") -> Path:
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
        return file

    return writing


@pytest.fixture
def loaded(write: Write, project: Path) -> Load:
    """Return a function that writes a definition and loads it; the definition must have problems if and only if `problems=True`."""

    def loading(text: str, /, *, problems: bool = False, environ: Mapping[str, str] | None = None, **overrides: str) -> Loaded:
        found = load(write(text), project=project, overrides=overrides, environ=environ or {})
        all_problems: list[Problem] = [*found.problems, *check(found, load_kinds(project), environ or {})]
        assert problems == bool(all_problems), "\n".join(map(str, all_problems))
        found.problems[:] = sorted(set(all_problems))
        return found

    return loading
