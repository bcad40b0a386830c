"""The records about the data of services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from envctl.engines import Deployment
from envctl.instance.record import DataRecord, Record
from envctl.lifecycle.data import Data
from envctl.plan.model import ServicePlan
from tests.builders import FakeDeployment, record_of, service


@dataclass
class Renaming(FakeDeployment):
    """A deployment whose data ids differ from the ids that an earlier version of envctl used."""

    former: str = ""

    def former_data_id(self, service: ServicePlan) -> str:
        return self.former


@dataclass
class Kept:
    """A record in memory, with the history of its changes."""

    record: Record
    changes: list[Record] = field(default_factory=list)

    def update(self, change: Callable[[Record], Record]) -> None:
        self.record = change(self.record)
        self.changes.append(self.record)


@pytest.mark.parametrize(
    ("recorded", "former", "now"),
    [
        ("container", "container", "volume"),
        ("other", "container", "other"),
        ("volume", "container", "volume"),
        ("x", "", "x"),
        ("", "", ""),
    ],
)
def test_the_same_data_is_known_again_under_its_new_id(recorded: str, former: str, now: str) -> None:
    kept = Kept(record_of(data={"db": DataRecord(recorded, ("1",), set_up=True, units=("u",))}))
    deployment = cast(Deployment, Renaming(data_ids={"db": "volume"}, former=former))

    Data(kept.update, lambda: kept.record, deployment).know_again([service("db"), service("new")])

    assert kept.record.data == {"db": DataRecord(now, ("1",), set_up=True, units=("u",))}
    assert len(kept.changes) == (recorded != now)


@pytest.mark.parametrize(("former", "expected"), [("1", {"db": DataRecord("2", ("s",))}), ("other", {})])
def test_data_whose_container_was_made_anew_meanwhile_is_not_forgotten(former: str, expected: dict[str, DataRecord]) -> None:
    kept = Kept(record_of(data={"db": DataRecord("1", ("s",))}))
    deployment = cast(Deployment, Renaming(data_ids={"db": "2"}, former=former))

    Data(kept.update, lambda: kept.record, deployment).forget_others(service("db"))

    assert kept.record.data == expected
