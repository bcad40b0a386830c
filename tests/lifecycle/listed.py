"""A fake engine whose instances are a list; removal is only recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from envctl.engines import Deployment, DeploymentSettings, FoundInstance, RunningInstance, Wanted
from envctl.instance.allocation import Allocation
from envctl.instance.record import InstanceState, Record
from envctl.plan.model import Plan
from envctl.plan.traits import Addresses
from envctl.session import Session
from tests.builders import FakeDeployment, record_of

PAST, FUTURE = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


@dataclass
class ListedEngine:
    """An engine that lists `seen` and records calls.

    Removing an instance whose id is in `stuck` leaves a network behind; new ports are numbered from 1.
    """

    seen: list[FoundInstance] = field(default_factory=list)
    stuck: Sequence[str] = ()
    removed: list[tuple[str, Mapping[str, float]]] = field(default_factory=list)
    asked: list[tuple[Wanted, Allocation, set[int], list[str]]] = field(default_factory=list)
    name: str = "local"

    def list(self, id: str = "") -> Sequence[FoundInstance]:
        return [each for each in self.seen if id in ("", each.id)]

    def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
        self.removed.append((id, stop))
        return [f"network {id}"] if id in self.stuck else []

    def addresses(self) -> Addresses:
        raise NotImplementedError

    def allocate(self, id: str, wanted: Wanted, kept: Allocation, taken: Collection[int], refused: Collection[str]) -> Allocation:
        self.asked.append((wanted, kept, set(taken), [*refused]))
        fresh = {key: 1 + number for number, key in enumerate(key for key in wanted.ports if key not in kept.ports)}
        return Allocation({**kept.ports, **fresh}, kept.subnet)

    def deployment(self, plan: Plan, settings: DeploymentSettings) -> Deployment:
        return FakeDeployment()

    def attach(self, id: str) -> RunningInstance:
        return FakeDeployment()


def seen_as(id: str = "t-123456", **changes: Any) -> FoundInstance:
    standard: dict[str, Any] = {
        "id": id, "name": "t", "environment": "t", "project": "/p", "owner": "", "created": PAST, "expires": None, "running": 1, "total": 1,
    }  # fmt: skip
    return FoundInstance(**{**standard, **changes})


def saved(session: Session, **changes: Any) -> Record:
    """Save and return the record of an instance that is up; *changes* override its fields."""
    return session.store.create(record_of(**{"state": InstanceState.UP, "engine": "local", **changes}))
