"""No part of an instance is created before its keeper watches; the keeper starts while images are looked up."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from envctl.engines import Progress
from envctl.errors import EnvctlError
from envctl.lifecycle import up
from envctl.lifecycle.options import UpOptions
from tests.builders import FakeDeployment, service
from tests.lifecycle.line import Line, MakeLine

OPTIONS = UpOptions(environment="env.yaml", engine="docker")


@dataclass
class Noting(FakeDeployment):
    """A deployment that records when something is created, and pulls one image."""

    touched: threading.Event = field(default_factory=threading.Event)
    pulled: bool = False

    def prepare(self, progress: Progress) -> None:
        progress("a", "pulling")
        self.pulled = True

    def create(self, *, whole: bool = True) -> None:
        self.touched.set()

    def renew(self, expires: str | None, labels: Mapping[str, str]) -> None:
        self.touched.set()


@pytest.fixture
def deployment() -> Noting:
    return Noting()


@pytest.fixture
def found(line: MakeLine, deployment: Noting) -> Line:
    return line(service("a"), deployment=deployment)


def bring_up(found: Line, deployment: Noting) -> None:
    found.started.deadline = float("inf")
    up._create_and_bring_up(found.started, deployment, OPTIONS, up.Timer(), again=False)


@pytest.mark.parametrize("pulls", [True, False])
def test_it_is_waited_for(found: Line, deployment: Noting, monkeypatch: pytest.MonkeyPatch, pulls: bool) -> None:
    if not pulls:
        monkeypatch.setattr(deployment, "prepare", lambda progress: None)
    seen: list[bool] = []
    found.started.in_flight.begin_with(lambda: seen.append(deployment.touched.wait(0.2)), "keeper")
    bring_up(found, deployment)
    assert (seen, deployment.touched.is_set()) == ([False], True)


def test_one_that_cannot_start_is_said_before_images_are_pulled(found: Line, deployment: Noting) -> None:
    def fails() -> None:
        raise EnvctlError("the keeper does not start")

    found.started.in_flight.begin_with(fails, "keeper")
    with pytest.raises(EnvctlError, match="the keeper does not start"):
        bring_up(found, deployment)
    assert (deployment.pulled, deployment.touched.is_set()) == (False, False)
