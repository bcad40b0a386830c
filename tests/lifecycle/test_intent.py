from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from envctl.lifecycle.intent import choose
from envctl.lifecycle.request import UpOptions

from envctl.environment import Environment
from envctl.errors import UsageError
from envctl.instance import Record
from envctl.plan.model import PortKey
from tests.builders import environment_of, record_of

SERVICES = "services: {db: {kind: postgres}, mail: {kind: mail}, worker: {image: x, replicas: 40}}"


@dataclass
class FakeEngine:
    """Gives ports from 1 on; remembers what it was asked for."""

    taken: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def free_ports(self, wanted: Mapping[PortKey, int], taken: Iterable[int]) -> Mapping[PortKey, int]:
        self.taken = sorted(taken)
        return {key: 1 + number for number, key in enumerate(wanted)}

    def free_subnet(self, id: str, size: int, refused: Iterable[str]) -> str:
        self.sizes.append(size)
        return f"subnet beside {list(refused)}"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return environment_of(tmp_path, SERVICES)


def chosen(environment: Environment, record: Record, refused: list[str] | None = None, **ports: int) -> FakeEngine:
    engine = FakeEngine()
    choose(environment, engine, record, UpOptions("t", ports=ports), refused or [])  # type: ignore[arg-type]
    return engine


def test_every_port_gets_a_number(environment: Environment) -> None:
    record = record_of()
    chosen(environment, record)
    assert record.ports == {"db/postgres": 1, "mail/smtp": 2, "mail/web": 3}


def test_numbers_are_kept_and_those_of_what_is_gone_forgotten(environment: Environment) -> None:
    record = record_of(ports={"mail/smtp": 2525, "gone/main": 9})
    engine = chosen(environment, record)
    assert record.ports == {"mail/smtp": 2525, "db/postgres": 1, "mail/web": 2}
    assert engine.taken == [2525]


def test_a_number_can_be_asked_for(environment: Environment) -> None:
    record = record_of(ports={"db/postgres": 7})
    chosen(environment, record, db=5432, mail=25)
    assert record.ports == {"db/postgres": 5432, "mail/smtp": 25, "mail/web": 1}


def test_numbers_of_other_instances_are_taken(environment: Environment) -> None:
    record_of(id="other-1", ports={"x/main": 42}).save()
    record = record_of(ports={"db/postgres": 7})
    record.save()
    assert chosen(environment, record).taken == [7, 42]


@pytest.mark.parametrize("service", ["worker", "dbb"])
def test_a_service_without_a_port_has_no_number(environment: Environment, service: str) -> None:
    with pytest.raises(UsageError, match=f"--port {service}=1: there is no such service with a port"):
        chosen(environment, record_of(), **{service: 1})


def test_a_subnet_has_room_for_every_container(environment: Environment) -> None:
    record = record_of()
    assert chosen(environment, record, refused=["a"]).sizes == [42]
    assert record.subnet == "subnet beside ['a']"


def test_a_subnet_is_kept(environment: Environment) -> None:
    record = record_of(subnet="mine")
    assert chosen(environment, record).sizes == []
    assert record.subnet == "mine"
