"""Folders of the test's own, and a real keeper for one instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from envctl.engines.local.project import LocalDeployment

from envctl.engines.local import folders, templates
from envctl.keeper_client import keepers
from envctl.plan.model import LocalPlan, Plan, ServicePlan
from tests.builders import plan_with, record_of, service

ID = "t-123456"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where everything goes, as root too; programs of a test need not be where everybody can run them."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(folders, "ROOTS_STATE", tmp_path / "services")
    monkeypatch.setattr(folders, "ROOTS_CACHE", tmp_path / "cache" / "envctl")
    yield tmp_path
    for process in (*templates._copying, *keepers._children):
        process.wait(30)


@pytest.fixture
def keeper(home: Path) -> Iterator[keepers.Keeper]:
    """The keeper of ID; its processes go with it."""
    record = record_of(id=ID, engine="local")
    record.save()
    found = keepers.ensure(record, watched=False)
    yield found
    keepers.dismiss(keepers.find(ID), ID)


def shell(name: str, script: str, folder: Path, **changes: Any) -> ServicePlan:
    """A service that is a shell script."""
    return service(name, run=("sh", "-c", script), folder=folder, local=LocalPlan(""), **changes)


def plan_of(*services: ServicePlan) -> Plan:
    return plan_with(*services)


Made = Callable[..., LocalDeployment]


@pytest.fixture
def made(keeper: keepers.Keeper) -> Made:
    """Services that are created, not started."""

    def make(*services: ServicePlan) -> LocalDeployment:
        project = LocalDeployment(ID, plan=plan_of(*services))
        project.prepare(lambda service, text: None)
        project.create()
        return project

    return make
