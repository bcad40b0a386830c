"""Using an instance that another machine brought up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from envctl.engines import PublishedRecord
from envctl.errors import EnvctlError, UsageError
from envctl.instance.codec import encode
from envctl.instance.identity import instance_id
from envctl.instance.record import InstanceState, Location, Record
from envctl.instance.store import UnreadableRecord
from envctl.lifecycle import adoption
from envctl.lifecycle.adoption import adopt
from envctl.lifecycle.planning import plan_of_instance
from envctl.plan.traits import Addresses
from envctl.session import Session
from tests.builders import record_of
from tests.lifecycle.listed import ListedEngine

THERE = Location("kubernetes", "c", "n")


@dataclass
class Publishing(ListedEngine):
    """An engine on which another machine has published `document`."""

    document: dict[str, Any] = field(default_factory=lambda: encode(record_of()))
    fails: BaseException | None = None

    def published(self, name: str, project: str) -> PublishedRecord | None:
        return PublishedRecord(self.document)

    def connect(self, id: str, access: Any) -> Mapping[int, int]:
        if self.fails is not None:
            raise self.fails
        return {}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Publishing:
    found = Publishing()
    monkeypatch.setattr(adoption, "ensure_keeper", lambda session, record, watched: record)
    return found


def adopted(session: Session, engine: Publishing) -> Record | None:
    return adopt(session, engine, THERE, "t", "/project")


def test_it_is_saved_here(session: Session, engine: Publishing) -> None:
    found = adopted(session, engine)
    assert found is not None
    assert (found.location, found.state, session.store.all()) == (THERE, InstanceState.UP, [found])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": 2}, "the record of t-123456 on kubernetes was written by a later version of envctl"),
        ({"version": None}, "the record of t-123456 on kubernetes cannot be read: it has no version"),
        ({"allocation": {}}, "the record of t-123456 on kubernetes cannot be read: allocation.ports is missing"),
    ],
)
def test_one_that_cannot_be_read_is_said_so(session: Session, engine: Publishing, changes: dict[str, Any], why: str) -> None:
    engine.document |= changes
    with pytest.raises(UnreadableRecord, match=f"^{why}") as caught:
        adopted(session, engine)
    assert "envctl down t-123456" in caught.value.hint
    assert session.store.all() == []


def test_what_another_command_has_made_meanwhile_stays(session: Session, engine: Publishing) -> None:
    made = session.store.create(replace(record_of(), secret="11", error="theirs"))
    assert adopted(session, engine) == made
    assert session.store.all() == [made]


@pytest.mark.parametrize("error", [EnvctlError("no port is free"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["keeper", "ports"])
def test_nothing_stays_of_one_that_cannot_be_made_usable(
    session: Session, engine: Publishing, monkeypatch: pytest.MonkeyPatch, error: BaseException, step: str
) -> None:
    def refuse(session: Session, record: Record, watched: bool) -> Record:
        raise error

    if step == "keeper":
        monkeypatch.setattr(adoption, "ensure_keeper", refuse)
    engine.fails = error
    with pytest.raises(type(error)):
        adopted(session, engine)
    assert (session.store.all(), session.store.folder("t-123456").exists()) == ([], False)


def test_the_definition_of_this_checkout_is_that_of_another_machines_instance(session: Session, tmp_path: Path) -> None:
    engine: Any = SimpleNamespace(addresses=Addresses)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/t.yaml").write_text("name: t\nservices: {s: {kind: stub}}\n")
    record = replace(record_of(), file="", project="/elsewhere", engine="kubernetes")
    plan = plan_of_instance(replace(session, cwd=tmp_path), record, engine)
    assert list(plan.services) == ["s"]
    assert plan.setting.checkout == "/elsewhere"
    with pytest.raises(UsageError, match="belongs to no environment that can be found here"):
        plan_of_instance(session, replace(record, environment="../../etc/x.yaml"), engine)


@pytest.mark.parametrize(("name", "key", "asked"), [("t", "", "t"), ("t", "job 2", None), ("t-123456", "job 2", "t-123456")])
def test_a_job_does_not_take_what_another_one_calls_the_same(
    session: Session, monkeypatch: pytest.MonkeyPatch, name: str, key: str, asked: str | None
) -> None:
    names: list[str] = []
    monkeypatch.setattr(adoption, "configured_cluster", lambda session: [THERE])
    monkeypatch.setattr(adoption, "open_engine", lambda location, host: None)
    monkeypatch.setattr(adoption, "adopt", lambda session, engine, location, name, project: names.append(name))
    caller = replace(session, environ={**session.environ, "ENVCTL_KEY": key})
    adoption.find_or_adopt(caller, name)
    assert names == [asked or instance_id("t", session.cwd, "job 2")]
