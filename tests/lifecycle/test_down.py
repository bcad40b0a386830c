"""Removing one instance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from envctl.cli.down import tell_removed
from envctl.engines import PublishedRecord
from envctl.errors import EngineMissing, EnvctlError, UsageError
from envctl.instance.identity import instance_id
from envctl.instance.machine import process_mark
from envctl.instance.record import InstanceState, Location, Record
from envctl.instance.store import RECORD, RecordStore, UnreadableRecord
from envctl.lifecycle import adoption, down
from envctl.lifecycle.down import Removed, remove, remove_all, remove_by_label, remove_named, tear_down
from envctl.session import Session
from tests.builders import ended_mark, session_in
from tests.lifecycle.listed import FUTURE, PAST, ListedEngine, saved, seen_as


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ListedEngine:
    """Make `down` open one fake engine for every location, and return the engine."""
    found = ListedEngine()
    monkeypatch.setattr(down, "open_engine", lambda location, host: found)
    return found


def with_outputs(session: Session, home: Path, **changes: Any) -> Record:
    (home / ".env").write_text("A=b")
    written = (hashlib.sha256(b"A=b").hexdigest(),)
    return saved(
        session,
        project=str(home),
        written=written,
        outputs={"A": "b"},
        write={".env": "dotenv"},
        file=str(home / "environment.yaml"),
        **changes,
    )


def test_everything_is_removed_then_the_record(session: Session, engine: ListedEngine, tmp_path: Path) -> None:
    record = with_outputs(session, tmp_path, stop={"orders": 10.0})
    assert tear_down(session, engine, record) == []
    assert engine.removed == [("t-123456", {"orders": 10.0})]
    assert session.store.load(record.id) is None
    assert (tmp_path / ".env").read_text() == ""


def test_what_is_left_keeps_its_record(session: Session, engine: ListedEngine, tmp_path: Path) -> None:
    record = with_outputs(session, tmp_path)
    engine.stuck = ["t-123456"]
    assert tear_down(session, engine, record) == ["network t-123456"]
    found = session.store.load(record.id)
    assert found is not None
    assert (found.state, found.process) == ("removing", ""), "nobody was killed: `gc` or `down` may try again, not every command"
    assert (tmp_path / ".env").read_text() == "A=b"


def test_who_removes_it_is_on_disk_before_anything_goes(session: Session) -> None:
    """The next command then sees that the removing command was killed."""
    seen: list[Record | None] = []

    class Looking(ListedEngine):
        def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
            seen.append(session.store.load(id))
            return []

    tear_down(session, Looking(), saved(session))
    assert [(found.state, found.process) for found in seen if found] == [("removing", process_mark())]


@pytest.mark.parametrize("error", [OSError("full"), UsageError("read-only")])
def test_it_works_where_the_record_cannot_be_saved(
    session: Session, engine: ListedEngine, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    record = saved(session)
    monkeypatch.setattr(RecordStore, "_write", lambda self, record: (_ for _ in ()).throw(error))
    assert tear_down(session, engine, record) == []
    assert session.store.load(record.id) is None


def test_a_definition_that_is_gone_does_not_matter(session: Session, engine: ListedEngine, tmp_path: Path) -> None:
    record = saved(session, outputs={"A": "b"}, write={".env": "dotenv"}, file=str(tmp_path / "gone/environment.yaml"))
    assert tear_down(session, engine, record) == []
    assert not (tmp_path / "gone").exists()


def test_down_twice(session: Session, engine: ListedEngine) -> None:
    record = saved(session)
    assert [remove(session, record), remove(session, record)] == [Removed("t", "t-123456", "")] * 2
    assert session.store.all() == []


def test_what_a_killed_command_had_asked_for_is_removed_too(
    session: Session, engine: ListedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object may appear a moment after the first removal."""
    monkeypatch.setattr(down, "LAST_CREATE", 0.0)
    tear_down(session, engine, saved(session, process=ended_mark()))
    assert [id for id, _ in engine.removed] == ["t-123456"] * 2


def test_by_label_alone(session: Session) -> None:
    engine = ListedEngine(stuck=["x"])
    assert remove_by_label(session, engine, "n", "x", "why") == Removed("n", "x", "why", ("network x",))
    assert engine.removed == [("x", {})]


# By name or id


def test_an_instance_has_a_name_and_an_id(session: Session, engine: ListedEngine, tmp_path: Path) -> None:
    for word in ("t", "t-123456"):
        saved(session, project=str(tmp_path))
        assert remove_named(session, word) == [Removed("t", "t-123456")]
        assert session.store.all() == []


def test_another_checkouts_is_another_one(session: Session, engine: ListedEngine) -> None:
    saved(session, project="/elsewhere")
    assert remove_named(session, "t") == []
    assert len(session.store.all()) == 1


def test_one_without_a_record_is_found_by_its_label(session: Session, engine: ListedEngine, tmp_path: Path) -> None:
    id = instance_id("t", tmp_path)
    engine.seen = [seen_as(id), seen_as("other-123456")]
    assert remove_named(session, "t") == [Removed("t", id)] * len(engine.removed)
    assert {removed for removed, _ in engine.removed} == {id}


def test_all_of_a_checkout(session: Session, engine: ListedEngine, tmp_path: Path) -> None:
    """An instance that cannot be removed does not prevent the removal of the others."""
    for name in ("a", "b"):
        saved(session, id=f"{name}-123456", name=name, project=str(tmp_path))
    saved(session, id="c-123456", name="c", project="/elsewhere")
    engine.stuck = ["a-123456"]
    assert remove_all(session) == [Removed("a", "a-123456", "", ("network a-123456",)), Removed("b", "b-123456")]


def test_an_engine_that_does_not_answer_is_named(session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    saved(session, project=str(tmp_path))
    monkeypatch.setattr(down, "open_engine", lambda *where: (_ for _ in ()).throw(EngineMissing("no daemon")))
    assert remove_all(session) == [Removed("t", "t-123456", "", ("no daemon",))]
    with pytest.raises(EngineMissing):
        remove_named(session, "t")
    assert len(session.store.all()) == 1


# Unreadable records


def unreadable(session: Session, id: str, content: str = '{"version": 99}') -> Path:
    path = session.store.folder(id) / RECORD
    path.parent.mkdir(parents=True)
    path.write_text(content)
    return path


DAMAGED = ["{", "[]", '{"version": 1}', '{"version": 1, "engine": []}', '{"version": 1, "engine": "docker", "context": "elsewhere"}']


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_record_of_nothing_goes_where_its_id_is_said(session: Session, engine: ListedEngine, content: str) -> None:
    path = unreadable(session, "t-123456", content)
    assert remove_named(session, "t-123456") == [Removed("t-123456", "t-123456")]
    assert not path.parent.exists()
    assert {id for id, _ in engine.removed} == {"t-123456"}, "what may not be listed is removed too"


def test_a_damaged_record_of_nothing_stays_where_its_name_is_said(session: Session, engine: ListedEngine, tmp_path: Path) -> None:
    path = unreadable(session, instance_id("t", tmp_path), "{")
    with pytest.raises(UnreadableRecord, match="cannot be read"):
        remove_named(session, "t")
    assert (path.exists(), engine.removed) == (True, [])


def test_a_damaged_record_stays_where_its_engine_cannot_be_asked(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is asked although only the record names it."""
    path = unreadable(session, "t-123456", '{"version": 1, "engine": "docker", "context": "elsewhere", "namespace": null}')
    here = ListedEngine()

    def opened(location: Location, host: object) -> ListedEngine:
        if location.context == "elsewhere":
            raise EngineMissing("no daemon")
        return here

    monkeypatch.setattr(down, "open_engine", opened)
    (removed,) = remove_named(session, "t-123456")
    assert removed == Removed("t-123456", "t-123456", "", ("what may be on docker (no daemon)",))
    assert (path.exists(), {id for id, _ in here.removed}) == (True, {"t-123456"})


def test_a_damaged_record_stays_where_something_is_left(session: Session, engine: ListedEngine) -> None:
    path = unreadable(session, "t-123456", "{")
    engine.seen, engine.stuck = [seen_as()], ["t-123456"]
    (removed,) = remove_named(session, "t-123456")
    assert (removed.name, set(removed.left), path.exists()) == ("t", {"network t-123456"}, True)


@pytest.mark.parametrize("by_name", [True, False])
def test_an_unreadable_record_is_said_so(session: Session, engine: ListedEngine, tmp_path: Path, by_name: bool) -> None:
    """The instance may be on any engine, so envctl must not report that it is gone."""
    id = instance_id("t", tmp_path)
    path = unreadable(session, id)
    with pytest.raises(UnreadableRecord, match="written by a later version"):
        remove_named(session, "t" if by_name else id)
    assert (path.exists(), engine.removed) == (True, [])


@pytest.mark.parametrize("by_name", [True, False])
def test_what_carries_its_label_is_removed_and_the_record_with_it(
    session: Session, engine: ListedEngine, tmp_path: Path, by_name: bool
) -> None:
    id = instance_id("t", tmp_path)
    path = unreadable(session, id)
    engine.seen = [seen_as(id)]
    assert Removed("t", id) in remove_named(session, "t" if by_name else id)
    assert not path.exists()


def test_anothers_disturbs_nobody(session: Session, engine: ListedEngine, tmp_path: Path) -> None:
    unreadable(session, "other-123456")
    saved(session, project=str(tmp_path))
    assert remove_named(session, "t") == [Removed("t", "t-123456")]
    assert remove_named(session, "t") == []
    saved(session, project=str(tmp_path))
    assert remove_all(session) == [Removed("t", "t-123456")]


# Called by a keeper


@pytest.fixture
def by_keeper(tmp_path: Path) -> Session:
    return session_in(tmp_path / "state", tmp_path, ENVCTL_KEEPER="1")


@pytest.mark.parametrize(
    ("keeper", "goes"),
    [(process_mark(), False), (ended_mark(), True), ("elsewhere:1:1", True), ("", True)],
    ids=["another keeper has it now", "that one has ended", "another machine's", "none has"],
)
def test_who_may_tear_down(by_keeper: Session, engine: ListedEngine, keeper: str, goes: bool) -> None:
    record = saved(by_keeper, keeper=keeper)
    assert (remove(by_keeper, record) is not None) is goes
    assert [id for id, _ in engine.removed] == (["t-123456"] if goes else [])


def test_its_own_keeper_may(by_keeper: Session, engine: ListedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(down, "called_by", lambda keeper: keeper == process_mark())
    assert remove(by_keeper, saved(by_keeper, keeper=process_mark())) == Removed("t", "t-123456")


def test_what_somebody_else_has_removed_is_only_forgotten(tmp_path: Path, engine: ListedEngine) -> None:
    forgetting = session_in(tmp_path / "state", tmp_path, ENVCTL_KEEPER="forget")
    saved(forgetting, keeper=process_mark())
    assert remove_named(forgetting, "t-123456") == [], "another keeper has it now"
    saved(forgetting, keeper=ended_mark())
    engine.seen = [seen_as()]
    assert remove_named(forgetting, "t-123456") == [Removed("t", "t-123456")]
    assert forgetting.store.load("t-123456") is None
    assert engine.removed == [], "what is there under its id is another one's"


def test_nobody_waits_for_a_gentle_end(by_keeper: Session, engine: ListedEngine) -> None:
    remove(by_keeper, saved(by_keeper, stop={"orders": 10.0}))
    assert engine.removed == [("t-123456", {})]


def test_one_that_somebody_elsewhere_has_extended_stays(by_keeper: Session, engine: ListedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    ensured: list[Record] = []
    monkeypatch.setattr("envctl.lifecycle.down.ensure_keeper", lambda session, record, watched: ensured.append(record))
    engine.seen = [seen_as(expires=FUTURE)]
    assert remove(by_keeper, saved(by_keeper, expires=PAST, engine="docker")) is None
    assert [record.expires for record in ensured] == [FUTURE]
    found = by_keeper.store.load("t-123456")
    assert found is not None
    assert (found.expires, found.state) == (FUTURE, InstanceState.UP)


@pytest.mark.parametrize(("name", "wait", "asked"), [("kubernetes", False, True), ("kubernetes", True, False), ("docker", False, False)])
def test_what_nobody_has_waited_for_is_asked_for(
    session: Session, engine: ListedEngine, capsys: pytest.CaptureFixture[str], name: str, wait: bool, asked: bool
) -> None:
    removed = down.remove(session, saved(session, engine=name), wait)
    assert removed is not None
    assert tell_removed([removed], "") == 0
    assert ("removal of t (t-123456) was requested" in capsys.readouterr().err) == asked


def test_a_record_that_may_not_be_read_keeps_nothing_alive(session: Session, engine: ListedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(session: Session, name: str) -> None:
        raise EnvctlError("secrets is forbidden")

    monkeypatch.setattr(adoption, "find_or_adopt", refuse)
    engine.seen = [seen_as("t-123456")]
    assert {done.id for done in down.remove_named(session, "t-123456")} == {"t-123456"}
    engine.seen = []
    with pytest.raises(EnvctlError, match="secrets is forbidden"):
        down.remove_named(session, "t-123456")


class SharedEngine(ListedEngine):
    """A cluster on which the instance's record has `secret`; with `silent`, reading the record fails."""

    secret: str | None = None
    silent = False

    def published(self, name: str, project: str) -> PublishedRecord | None:
        if self.silent:
            raise EngineMissing("nobody answers")
        return PublishedRecord({"id": name, "secret": self.secret}) if self.secret else None

    def connect(self, id: str, access: Any) -> dict[int, int]:
        return {}


@pytest.mark.parametrize(("secret", "silent", "removed"), [("ours", False, 1), ("theirs", False, 0), (None, False, 1), ("theirs", True, 1)])
def test_what_another_machine_has_made_under_the_same_id_is_not_removed(
    session: Session, secret: str | None, silent: bool, removed: int
) -> None:
    engine, record = SharedEngine(), saved(session, secret="ours")
    engine.secret, engine.silent = secret, silent
    assert tear_down(session, engine, record) == []
    assert len(engine.removed) == removed
    assert session.store.load(record.id) is None, "here nothing of it stays"
