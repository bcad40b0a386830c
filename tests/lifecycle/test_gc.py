"""Which instances `gc` removes, and which it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envctl.errors import EnvctlError
from envctl.instance.lock import lock
from envctl.instance.machine import process_mark
from envctl.instance.record import InstanceState, Location
from envctl.instance.store import RECORD
from envctl.lifecycle import gc
from envctl.lifecycle.down import Removed
from envctl.lifecycle.gc import collect
from envctl.session import Session
from tests.builders import ended_mark
from tests.lifecycle.listed import FUTURE, PAST, ListedEngine, saved, seen_as


def collected(session: Session, engine: ListedEngine) -> list[Removed]:
    return list(collect(session, {Location("local"): engine}, pytest.fail))


class Silent(ListedEngine):
    def list(self, id: str = "") -> Any:
        raise EnvctlError("the daemon does not answer")


def test_an_engine_that_says_nothing_keeps_nobody_from_the_others(session: Session) -> None:
    """The records of instances on the engine that does not answer stay."""
    saved(session, id="s-123456", engine="docker")
    unseen: list[str] = []
    engines: Any = {Location("docker"): Silent([]), Location("local"): ListedEngine([seen_as(expires=PAST)])}
    assert list(collect(session, engines, unseen.append)) == [Removed("t", "t-123456", f"expired {PAST}")]
    assert unseen == ["the daemon does not answer; envctl cannot tell which instances are up there"]
    assert [record.id for record in session.store.all()] == ["s-123456"]


def test_nothing_is_collected_that_is_in_use(session: Session) -> None:
    saved(session)
    mine = process_mark()
    seen = [
        *[seen_as(), seen_as("b-1"), seen_as("c-1", expires=FUTURE)],
        *[seen_as("d-1", owner=mine), seen_as("e-1", owner="elsewhere:1:1")],
    ]
    engine = ListedEngine(seen)
    assert collected(session, engine) == []
    assert engine.removed == []


def test_what_a_keeper_with_another_state_folder_sees_to_is_left_alone(session: Session) -> None:
    """The other keeper also removes its state folder, which this `gc` cannot find."""
    engine = ListedEngine([seen_as(owner=ended_mark(), kept=True), seen_as("b-1", owner=ended_mark())])
    assert [done.id for done in collected(session, engine)] == ["b-1"]


def test_of_one_project_alone(session: Session) -> None:
    saved(session, project="/other", expires=PAST)
    engine = ListedEngine([seen_as(expires=PAST, project="/other"), seen_as("b-1", project="/p", expires=PAST)])
    assert [done.id for done in collect(session, {Location("local"): engine}, pytest.fail, Path("/p"))] == ["b-1"]


@pytest.mark.parametrize("with_record", [True, False])
def test_what_has_expired_anywhere(session: Session, with_record: bool) -> None:
    if with_record:
        saved(session, stop={"x": 1.0})
    engine = ListedEngine([seen_as(expires=PAST)])
    assert collected(session, engine) == [Removed("t", "t-123456", f"expired {PAST}")]
    assert engine.removed == [("t-123456", {"x": 1.0} if with_record else {})]
    assert session.store.all() == []


@pytest.mark.parametrize(("marked", "recorded"), [(PAST, FUTURE), (FUTURE, PAST)])
def test_the_latest_time_counts(session: Session, marked: str, recorded: str) -> None:
    saved(session, expires=recorded)
    assert collected(session, ListedEngine([seen_as(expires=marked)])) == []


@pytest.mark.parametrize("with_record", [True, False])
def test_what_has_lost_its_owner_on_this_host(session: Session, with_record: bool) -> None:
    if with_record:
        saved(session, owner=ended_mark())
    assert collected(session, ListedEngine([seen_as(owner=ended_mark())])) == [Removed("t", "t-123456", "its owner has ended")]


@pytest.mark.parametrize("owner", ["", "rubbish", "a:b", "a:b:c", ":::"])
def test_an_owner_that_cannot_be_read_is_left_alone(session: Session, owner: str) -> None:
    assert collected(session, ListedEngine([seen_as(owner=owner)])) == []


@pytest.mark.parametrize("state", [InstanceState.STARTING, InstanceState.REMOVING])
def test_what_a_killed_command_left(session: Session, monkeypatch: pytest.MonkeyPatch, state: InstanceState) -> None:
    monkeypatch.setattr("envctl.lifecycle.down.LAST_CREATE", 0.0)
    saved(session, state=state, process=ended_mark())
    assert collected(session, ListedEngine([seen_as()])) == [Removed("t", "t-123456", "its command was killed")]


@pytest.mark.parametrize("state", [InstanceState.STARTING, InstanceState.REMOVING])
def test_what_a_command_works_on_is_left_alone(session: Session, state: InstanceState) -> None:
    saved(session, state=state, process=process_mark())
    assert collected(session, ListedEngine([seen_as()])) == []


def test_a_record_of_something_that_is_gone(session: Session) -> None:
    saved(session)
    assert collected(session, ListedEngine()) == [Removed("t", "t-123456", "nothing of it is left")]
    assert session.store.all() == []


def test_a_record_whose_containers_are_still_to_come(session: Session) -> None:
    """`up` is still pulling images, so the engine has no objects of the instance yet."""
    saved(session, state=InstanceState.STARTING, process=process_mark())
    assert collected(session, ListedEngine()) == []
    assert len(session.store.all()) == 1


def test_a_record_of_an_engine_that_is_not_there(session: Session) -> None:
    saved(session, engine="kubernetes")
    assert collected(session, ListedEngine()) == []
    assert len(session.store.all()) == 1


def test_what_another_command_holds_is_not_taken_away(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(session, expires=PAST)
    engine = ListedEngine([seen_as(expires=PAST)])
    monkeypatch.setattr(gc, "lock", lambda folder, wait: lock(folder, wait=0))
    with lock(session.store.folder("t-123456")):
        assert collected(session, engine) == []
    assert engine.removed == []


def test_what_cannot_be_removed_is_listed(session: Session) -> None:
    engine = ListedEngine([seen_as(expires=PAST), seen_as("b-1", expires=PAST)], stuck=["t-123456"])
    assert [each.left for each in collected(session, engine)] == [("network t-123456",), ()]


def test_what_was_renewed_in_the_meantime_is_left_alone(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """`up` held the lock while `gc` waited for it."""
    record = saved(session, expires=PAST)

    @contextmanager
    def renewed(folder: Path, wait: float = 0.0) -> Iterator[Any]:
        session.store.update(record, lambda record: replace(record, expires=FUTURE))
        with lock(folder, wait=wait):
            yield

    monkeypatch.setattr(gc, "lock", renewed)
    engine = ListedEngine([seen_as(expires=PAST)])
    assert collected(session, engine) == []
    assert engine.removed == []


@pytest.mark.parametrize("content", ['{"version": 99}', "{", "{}"])
@pytest.mark.parametrize("found", [{"expires": PAST}, {"owner": ended_mark()}, {}])
def test_what_has_a_record_that_cannot_be_read_is_left_alone(session: Session, content: str, found: dict[str, Any]) -> None:
    """The version of envctl that wrote the record may have extended the instance's lifetime."""
    path = session.store.folder("t-123456") / RECORD
    path.parent.mkdir(parents=True)
    path.write_text(content)
    engine = ListedEngine([seen_as(**found), seen_as("b-1", expires=PAST)])
    assert [each.id for each in collected(session, engine)] == ["b-1"]
    assert path.read_text() == content
