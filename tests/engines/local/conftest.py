"""Fixtures for local processes: folders of the test's own, and a real keeper for one instance."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envctl.engines.local import folders
from envctl.engines.local.deployment import LocalDeployment
from envctl.engines.local.engine import LocalEngine
from envctl.engines.local.traits import TRAITS
from envctl.engines.protocol import DeploymentSettings
from envctl.instance.labels import labels_of
from envctl.keeper_client.client import KeeperClient
from envctl.lifecycle.keeper import ensure_keeper
from envctl.plan.model import LocalPlan, Plan, ServicePlan
from envctl.session import Session
from tests.builders import plan_with, record_of, service

ID = f"t-{os.getpid() % 0x1000000:06x}"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Redirect all folders to the test's own, also for root, so that programs of a test need not be executable for other users."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(folders, "ROOTS_STATE", tmp_path / "services")
    monkeypatch.setattr(folders, "ROOTS_CACHE", tmp_path / "cache" / "envctl")
    yield tmp_path
    for thread in threading.enumerate():
        if thread.name == "reaper":  # The reaper waits for processes that were started during the test.
            thread.join(30)


@pytest.fixture
def session(home: Path) -> Session:
    return Session(dict(os.environ), home)


@pytest.fixture
def engine(session: Session) -> LocalEngine:
    return LocalEngine(session.host)


@pytest.fixture
def keeper(session: Session) -> Iterator[KeeperClient]:
    """Yield the keeper of the instance ID; when it is dismissed, the instance's processes end."""
    ensure_keeper(session, session.store.create(record_of(id=ID, engine="local")), watched=False)
    found = session.keepers.find(ID)
    assert found is not None
    yield found
    session.keepers.dismiss(session.keepers.find(ID), ID)


def shell(name: str, script: str, folder: Path, **changes: Any) -> ServicePlan:
    """Return a service that runs a shell script."""
    return service(name, run=("sh", "-c", script), folder=folder, local=LocalPlan(""), **changes)


def plan_of(*services: ServicePlan) -> Plan:
    plan = plan_with(*services)
    return replace(plan, setting=replace(plan.setting, id=ID, engine=TRAITS))


def settings_of(session: Session) -> DeploymentSettings:
    return DeploymentSettings(session.store.folder(ID), session.environ, labels=labels_of(record_of(id=ID)))


Made = Callable[..., LocalDeployment]


@pytest.fixture
def made(session: Session, engine: LocalEngine, keeper: KeeperClient) -> Made:
    """Return a function that creates services without starting them."""

    def make(*services: ServicePlan) -> LocalDeployment:
        project = engine.deployment(plan_of(*services), settings_of(session))
        project.prepare(lambda service, text: None)
        project.create()
        return project

    return make
