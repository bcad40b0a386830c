"""What a reset does, and what it reports as unchanged."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from envctl.engines import Deployment
from envctl.errors import UsageError
from envctl.instance.record import DataRecord, Record, ServiceRecord
from envctl.instance.units import Unit
from envctl.lifecycle import change, units, up
from envctl.lifecycle.bring_up import Run
from envctl.lifecycle.change import Reset
from envctl.lifecycle.events import Event, Events
from envctl.lifecycle.units import Resettable
from envctl.plan.model import Plan, ServicePlan
from envctl.session import Session
from tests.builders import FakeDeployment, plan_with, record_of, service, session_in

SERVICES = {
    "cache": ServiceRecord("redis", unit=Unit("redis")),
    "db": ServiceRecord("postgres", unseeded=True),
    "vault": ServiceRecord("redis", unseeded=True, unit=Unit("redis")),
    "api": ServiceRecord("service"),
    "seeded": ServiceRecord("postgres", data=True),
}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ((), Reset(("cache", "vault", "seeded"), ("db",))),
        (("db",), Reset(("db",))),
        (("cache",), Reset(("cache",))),
    ],
)
def test_what_nobody_has_seeded_is_left_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Sequence[str], expected: Reset
) -> None:
    anew: list[str] = []
    monkeypatch.setattr(units, "reset", lambda found, use: [])
    monkeypatch.setattr(change, "_made_anew", lambda session, record, names, *_: anew.extend(names))
    monkeypatch.setattr(change, "_refuse_shared_data", lambda session, record, names: None)
    session = session_in(tmp_path)
    record = replace(record_of(services=SERVICES), data={"cache": DataRecord("1", set_up=True)})
    session.store.create(record)

    assert change.reset(session, record, wanted, checked=False) == expected
    assert anew == [name for name in ("db", "seeded") if name in expected.done]


@dataclass
class Sharing(FakeDeployment):
    """A deployment on which the service named `keeps` refuses to discard its data, and `b` keeps a part of its data."""

    keeps: str = ""
    recorded: Callable[[], Collection[str]] = tuple
    gone: list[tuple[str, list[str]]] = field(default_factory=list)
    """Each discarded service, with the services whose data is on record at that moment."""

    def staying(self, service: ServicePlan) -> Sequence[str]:
        if service.name == self.keeps:
            raise UsageError(f"{service.name} keeps its data")
        return ["the volume 'static' stays"] if service.name == "b" else []

    def discard(self, service: ServicePlan) -> None:
        self.gone.append((service.name, sorted(self.recorded())))


@dataclass
class Opened:
    """An instance with the services `a`, `b` and `quick` on a fake deployment."""

    session: Session
    record: Record
    deployment: Sharing
    emptied: list[Resettable] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def reset(self) -> Reset:
        return change.reset(self.session, self.record, listeners=[self], checked=False)

    def begin(self, plan: Plan) -> None: ...

    def event(self, event: Event) -> None:
        self.told.append(event.detail)

    def end(self) -> None: ...


def record_now(session: Session) -> Record:
    found = session.store.load(record_of().id)
    assert found is not None
    return found


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    session, plan = session_in(tmp_path), plan_with(service("a"), service("b"), service("quick"))
    seeded = ServiceRecord("service", data=True)
    services = {"quick": ServiceRecord("redis", unit=Unit("redis"), data=True), "a": seeded, "b": seeded}
    record = record_of(services=services, data={name: DataRecord("1", ("s",)) for name in services})
    session.store.create(record)
    found = Opened(session, record, Sharing(recorded=lambda: record_now(session).data))

    def reset(units: list[Resettable], use: Any) -> list[str]:
        found.emptied += units
        return []

    monkeypatch.setattr(units, "reset", reset)
    monkeypatch.setattr(change, "open_engine", lambda location, host: None)
    monkeypatch.setattr(change, "plan_of_instance", lambda session, record, engine: plan)
    monkeypatch.setattr(Run, "deployment", lambda self, engine, plan: found.deployment)
    monkeypatch.setattr(change, "bring_up", lambda *_: None)
    return found


def test_where_one_service_keeps_its_data_none_loses_it(opened: Opened) -> None:
    opened.deployment.keeps = "b"

    with pytest.raises(UsageError, match="b keeps its data"):
        opened.reset()

    assert (opened.deployment.gone, opened.emptied) == ([], [])
    assert record_now(opened.session) == opened.record


def test_what_is_discarded_is_forgotten_first_and_what_stays_is_told(opened: Opened) -> None:
    assert opened.reset() == Reset(("quick", "a", "b"))
    assert opened.deployment.gone == [("a", ["b", "quick"]), ("b", ["quick"])]
    assert "b: the volume 'static' stays" in opened.told


def test_an_up_that_seeds_again_asks_all_services_first(opened: Opened) -> None:
    run = Run(opened.session, opened.record, plan_with(service("a"), service("b")), Events([opened]), math.inf, reseed=True)
    opened.deployment.data_ids |= {"a": "1", "b": "1"}
    opened.deployment.keeps = "b"

    with pytest.raises(UsageError, match="b keeps its data"):
        up._discard_changed(run, cast(Deployment, opened.deployment))
    assert opened.deployment.gone == []

    opened.deployment.keeps = ""
    up._discard_changed(run, cast(Deployment, opened.deployment))
    assert opened.deployment.gone == [("a", ["b", "quick"]), ("b", ["quick"])]
    assert opened.told[-1] == "b: the volume 'static' stays"
