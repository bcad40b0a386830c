from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from envctl import instance
from envctl.engines import FoundInstance
from envctl.errors import UsageError
from envctl.instance import Record
from envctl.lifecycle import gc
from envctl.lifecycle.down import tear_down
from envctl.lifecycle.gc import Removed, collect, remove, remove_by_label
from tests.builders import record_of

PAST, FUTURE = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
ENDED = "{host}:1:0"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@dataclass
class FakeEngine:
    """An engine whose instances are a list; `stuck` are the ids of those that leave something behind."""

    seen: list[FoundInstance] = field(default_factory=list)
    stuck: Sequence[str] = ()
    removed: list[tuple[str, Mapping[str, float]]] = field(default_factory=list)
    name: str = "docker"

    def list(self) -> Sequence[FoundInstance]:
        return self.seen

    def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
        self.removed.append((id, stop))
        return [f"network {id}"] if id in self.stuck else []


def seen_as(id: str = "t-123456", **changes: Any) -> FoundInstance:
    standard: dict[str, Any] = {
        "id": id, "name": "t", "environment": "t", "project": "/p", "owner": "", "created": PAST, "expires": None, "running": 1, "total": 1,
    }  # fmt: skip
    return FoundInstance(**{**standard, **changes})


def saved(**changes: Any) -> Record:
    record = record_of(**{"state": "up", **changes})
    record.save()
    return record


# One instance


def test_everything_is_removed_then_the_record(home: Path) -> None:
    (home / ".env").write_text("A=b")
    record = saved(stop={"orders": 10.0}, outputs={"A": "b"}, write={".env": "dotenv"}, file=str(home / "environment.yaml"))
    engine = FakeEngine()
    assert tear_down(engine, record) == []  # type: ignore[arg-type]
    assert engine.removed == [("t-123456", {"orders": 10.0})]
    assert instance.load(record.id) is None
    assert (home / ".env").read_text() == ""


def test_what_is_left_keeps_its_record(home: Path) -> None:
    (home / ".env").write_text("A=b")
    record = saved(outputs={"A": "b"}, write={".env": "dotenv"}, file=str(home / "environment.yaml"))
    assert tear_down(FakeEngine(stuck=["t-123456"]), record) == ["network t-123456"]  # type: ignore[arg-type]
    found = instance.load(record.id)
    assert found is not None
    assert (found.state, found.process) == ("removing", ""), "nobody was killed: `gc` or `down` may try again, not every command"
    assert (home / ".env").read_text() == "A=b"


def test_who_removes_it_is_on_disk_before_anything_goes() -> None:
    """By which the next command sees that it was killed."""
    seen: list[Record | None] = []

    class Looking(FakeEngine):
        def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
            seen.append(instance.load(id))
            return []

    tear_down(Looking(), saved(process=""))  # type: ignore[arg-type]
    assert [(found.state, found.process) for found in seen if found] == [("removing", instance.process_mark())]


@pytest.mark.parametrize("error", [OSError("full"), UsageError("read-only")])
def test_it_works_where_the_record_cannot_be_saved(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    record = saved()
    monkeypatch.setattr(Record, "save", lambda self: (_ for _ in ()).throw(error))
    assert tear_down(FakeEngine(), record) == []  # type: ignore[arg-type]
    assert instance.load(record.id) is None


def test_a_definition_that_is_gone_does_not_matter(home: Path) -> None:
    record = saved(outputs={"A": "b"}, write={".env": "dotenv"}, file=str(home / "gone/environment.yaml"))
    assert tear_down(FakeEngine(), record) == []  # type: ignore[arg-type]
    assert not (home / "gone").exists()


def test_down_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(gc, "open_engine", lambda name, *place: engine)
    record = saved()
    assert [remove(record), remove(record)] == [Removed("t", "t-123456", "")] * 2
    assert instance.records() == []


def test_by_label_alone() -> None:
    engine = FakeEngine(stuck=["x"])
    assert remove_by_label(engine, "n", "x", "why") == Removed("n", "x", "why", ("network x",))  # type: ignore[arg-type]
    assert engine.removed == [("x", {})]


# What is collected


def collected(engine: FakeEngine, **engines: FakeEngine) -> list[Removed]:
    return list(collect({("docker", None, None): engine, **{(name, None, None): other for name, other in engines.items()}}))  # type: ignore[dict-item]


def ended() -> str:
    """The mark of a process of this machine that has ended."""
    host, pid, _ = instance.process_mark().rsplit(":", 2)
    return f"{host}:{pid}:0"


def test_nothing_is_collected_that_is_in_use() -> None:
    saved()
    mine = instance.process_mark()
    seen = [
        *[seen_as(), seen_as("b-1"), seen_as("c-1", expires=FUTURE)],
        *[seen_as("d-1", owner=mine), seen_as("e-1", owner="elsewhere:1:1")],
    ]
    engine = FakeEngine(seen)
    assert collected(engine) == []
    assert engine.removed == []


@pytest.mark.parametrize("with_record", [True, False])
def test_what_has_expired_anywhere(with_record: bool) -> None:
    if with_record:
        saved(stop={"x": 1.0})
    engine = FakeEngine([seen_as(expires=PAST)])
    assert collected(engine) == [Removed("t", "t-123456", f"expired {PAST}")]
    assert engine.removed == [("t-123456", {"x": 1.0} if with_record else {})]
    assert instance.records() == []


@pytest.mark.parametrize(("marked", "recorded"), [(PAST, FUTURE), (FUTURE, PAST)])
def test_the_latest_time_counts(marked: str, recorded: str) -> None:
    saved(expires=recorded)
    assert collected(FakeEngine([seen_as(expires=marked)])) == []


@pytest.mark.parametrize("with_record", [True, False])
def test_what_has_lost_its_owner_on_this_host(with_record: bool) -> None:
    if with_record:
        saved(owner=ended())
    assert collected(FakeEngine([seen_as(owner=ended())])) == [Removed("t", "t-123456", "its owner has ended")]


@pytest.mark.parametrize("owner", ["", "rubbish", "a:b", "a:b:c", ":::"])
def test_an_owner_that_cannot_be_read_is_left_alone(owner: str) -> None:
    assert collected(FakeEngine([seen_as(owner=owner)])) == []


@pytest.mark.parametrize("state", ["starting", "removing"])
def test_what_a_killed_command_left(state: str) -> None:
    saved(state=state, process=ended())
    assert collected(FakeEngine([seen_as()])) == [Removed("t", "t-123456", "its command was killed")]


@pytest.mark.parametrize("state", ["starting", "removing"])
def test_what_a_command_works_on_is_left_alone(state: str) -> None:
    saved(state=state, process=instance.process_mark())
    engine = FakeEngine([seen_as()])
    assert collected(engine) == []


def test_a_record_of_something_that_is_gone() -> None:
    saved()
    engine = FakeEngine()
    assert collected(engine) == [Removed("t", "t-123456", "nothing of it is there")]
    assert instance.records() == []


def test_a_record_whose_containers_are_still_to_come() -> None:
    """`up` pulls images: nothing of it is on the daemon yet."""
    saved(state="starting", process=instance.process_mark())
    assert collected(FakeEngine()) == []
    assert len(instance.records()) == 1


def test_a_record_of_an_engine_that_is_not_there() -> None:
    saved(engine="kubernetes")
    assert collected(FakeEngine()) == []
    assert len(instance.records()) == 1


def test_what_another_command_holds_is_not_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    saved(expires=PAST)
    engine = FakeEngine([seen_as(expires=PAST)])
    lock = instance.lock
    monkeypatch.setattr(instance, "lock", lambda name, wait: lock(name, wait=0))
    with lock("t-123456"):
        assert collected(engine) == []
    assert engine.removed == []


def test_what_cannot_be_removed_is_listed() -> None:
    engine = FakeEngine([seen_as(expires=PAST), seen_as("b-1", expires=PAST)], stuck=["t-123456"])
    assert [each.left for each in collected(engine)] == [("network t-123456",), ()]


def test_what_was_renewed_in_the_meantime_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """`up` had the lock while we waited for it."""
    record = saved(expires=PAST)
    lock = instance.lock

    def renewed(id: str, wait: float = 0.0) -> Any:
        record.expires = FUTURE
        record.save()
        return lock(id, wait=wait)

    monkeypatch.setattr(instance, "lock", renewed)
    engine = FakeEngine([seen_as(expires=PAST)])
    assert collected(engine) == []
    assert engine.removed == []
