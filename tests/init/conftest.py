"""Build sample projects from a map of paths to texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from envctl.definition.models import Definition
from envctl.engines.registry import traits
from envctl.environment import open_environment
from envctl.init import Proposal, gather, proposal_yaml, prove
from envctl.plan.make import make_plan
from envctl.plan.model import Plan
from envctl.plan.render_setting import render_setting

Files = Mapping[str, str | bytes]


@dataclass(frozen=True)
class Sample:
    """A project with the proposed environment in it, and the results of parsing and planning the proposal."""

    root: Path
    proposal: Proposal
    text: str
    tree: dict[str, Any]
    plan: Plan

    @property
    def services(self) -> dict[str, Any]:
        found: dict[str, Any] = self.tree.get("services", {})
        return found


class Propose(Protocol):
    """The type of the fixture `sample`."""

    def __call__(self, files: Files, without: tuple[str, ...] = ()) -> Sample: ...


def fill(root: Path, files: Files) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


@pytest.fixture
def project(tmp_path: Path) -> Callable[[Files], Path]:
    return lambda files: fill(tmp_path / "shop", {".keep": "", **files})


@pytest.fixture
def sample(project: Callable[[Files], Path]) -> Propose:
    """Return a function that proposes an environment for a project of *files*, and checks that the result is valid and can be planned."""

    def make(files: Files, without: tuple[str, ...] = ()) -> Sample:
        root = project(files)
        proved = prove(gather(root), root, {"PATH": "/usr/local/bin:/usr/bin:/bin"}, without)
        assert not proved.left_out
        proposal = proved.proposal
        text = proposal_yaml(proposal)
        fill(root / "environments", {f"{proposal.name}.yaml": text, **proposal.files})
        tree = yaml.safe_load(text)
        Definition.model_validate({key: value for key, value in tree.items() if key != "from"})
        environment = open_environment(proposal.name, cwd=root, environ={"PATH": "/usr/bin:/bin"})
        plan = make_plan(environment, render_setting(environment, proposal.name, traits("docker"), {}))
        return Sample(root, proposal, text, tree, plan)

    return make
