"""Transforms are applied in order; each one gets the result of the one before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from envctl.environment import Environment
from envctl.plan import transforms
from envctl.plan.transforms import Selection
from tests.builders import environment_of


def test_the_first_selects_services(tmp_path: Path) -> None:
    environment = environment_of(tmp_path, "services: {a: {image: x}, b: {image: x}}")
    assert list(transforms.apply(environment, Selection(only=["a"])).definition.services) == ["a"]


def test_each_gets_what_the_one_before_has_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def marked(environment: Environment, options: Selection) -> Environment:
        name = f"{environment.definition.name}-{'-'.join(options.only)}-{len(environment.definition.services)}"
        return replace(environment, definition=environment.definition.model_copy(update={"name": name}))

    monkeypatch.setattr(transforms, "TRANSFORMS", (*transforms.TRANSFORMS, marked))
    environment = environment_of(tmp_path, "services: {a: {image: x}, b: {image: x}}")
    assert transforms.apply(environment, Selection(only=["a"])).definition.name == "t-a-1"
