"""What every command does about keepers that were killed."""

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
from envctl.instance.record import Choices, InstanceState, Location, Record
from envctl.instance.store import RECORD
from envctl.keeper_client.client import KeeperGone, KeeperSilent
from envctl.keeper_client.keepers import Keepers
from envctl.lifecycle import recovery
from envctl.lifecycle.recovery import recover_instances
from envctl.session import Session
from tests.builders import ended_mark, record_of
from tests.lifecycle.listed import FUTURE, PAST

STARTING, REMOVING, CHANGING = InstanceState.STARTING, InstanceState.REMOVING, InstanceState.CHANGING


class World:
    """Fakes for starting keepers and for removing instances, which record their calls."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.removed: list[str] = []
        self.left: list[str] = []

    def ensure(self, session: Session, record: Record, *, watched: bool) -> None:
        assert not watched
        self.started.append(record.id)

    def tear_down(self, session: Session, engine: str, record: Record) -> list[str]:
        assert engine == record.engine
        self.removed.append(record.id)
        session.store.remove(record.id)
        return self.left

    @property
    def done(self) -> tuple[list[str], list[str]]:
        return self.started, self.removed


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setattr("envctl.lifecycle.recovery.ensure_keeper", found.ensure)
    monkeypatch.setattr("envctl.lifecycle.recovery.tear_down", found.tear_down)
    monkeypatch.setattr("envctl.lifecycle.recovery.open_engine", lambda location, host: location.engine)
    return found


def saved(session: Session, id: str = "t-123456", **changes: Any) -> Record:
    return session.store.create(record_of(**{"id": id, "state": InstanceState.UP, "keeper": ended_mark(), **changes}))


Done = tuple[list[str], list[str]]
STARTED: Done = (["t-123456"], [])
REMOVED: Done = ([], ["t-123456"])
LEFT_ALONE: Done = ([], [])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, STARTED),
        ({"expires": FUTURE}, STARTED),
        ({"owner": process_mark()}, STARTED),
        ({"owner": "elsewhere:1:1"}, STARTED),
        ({"state": InstanceState.FAILED}, STARTED),
        ({"state": CHANGING, "process": ended_mark()}, STARTED),
        ({"choices": Choices(local=("api",))}, STARTED),
        ({"expires": PAST}, REMOVED),
        ({"owner": ended_mark()}, REMOVED),
        ({"state": STARTING}, REMOVED),
        ({"state": REMOVING}, REMOVED),
        ({"engine": "local"}, REMOVED),
        ({"keeper": "", "state": STARTING, "process": ended_mark()}, REMOVED),
        ({"keeper": process_mark()}, LEFT_ALONE),
        ({"keeper": process_mark(), "expires": PAST}, LEFT_ALONE),
        ({"keeper": "elsewhere:1:1"}, LEFT_ALONE),
        ({"keeper": "", "state": STARTING, "process": process_mark()}, LEFT_ALONE),
        ({"keeper": "", "process": ""}, LEFT_ALONE),
        ({"keeper": process_mark(), "state": REMOVING, "process": process_mark()}, LEFT_ALONE),
        ({"keeper": process_mark(), "state": REMOVING, "process": ""}, LEFT_ALONE),
        ({"keeper": process_mark(), "state": CHANGING, "process": ended_mark()}, LEFT_ALONE),
        ({"keeper": process_mark(), "state": REMOVING, "process": ended_mark()}, LEFT_ALONE),
    ],
    ids=[
        *[
            "up",
            "with time left",
            "its owner runs",
            "another machine's owner",
            "failed and kept",
            "a change was killed",
            "beside containers",
        ],
        *["expired", "ownerless", "starting", "removing", "local processes", "killed before it had a keeper"],
        *["its keeper runs", "its keeper knows it", "another machine's keeper", "a command is at its start", "of an earlier version"],
        *["being removed", "it could not be removed", "its keeper outlives a change", "its keeper removes it"],
    ],
)
def test_an_instance(session: Session, world: World, changes: dict[str, Any], expected: tuple[list[str], list[str]]) -> None:
    saved(session, **changes)
    recover_instances(session)
    assert world.done == expected


class FakeKeeper:
    """A keeper whose process runs; it reports `answer` as `owned`, or raises `answer` if this is an exception."""

    def __init__(self, answer: bool | Exception) -> None:
        self.answer = answer

    def ask(self, method: str, path: str, timeout: float) -> tuple[int, Any]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return 200, {"owned": self.answer}


@pytest.mark.parametrize("state", [STARTING, REMOVING])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [(True, LEFT_ALONE), (False, REMOVED), (KeeperSilent("no answer"), REMOVED), (KeeperGone("it removes the instance"), LEFT_ALONE)],
    ids=["watched", "not", "silent", "removing"],
)
def test_whose_command_was_killed_beside_its_keeper(
    session: Session,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    state: InstanceState,
    answer: bool | Exception,
    expected: tuple[list[str], list[str]],
) -> None:
    monkeypatch.setattr(Keepers, "find", lambda keepers, instance: FakeKeeper(answer))
    saved(session, keeper=process_mark(), state=state, process=ended_mark())
    recover_instances(session)
    assert world.done == expected


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"expires": PAST}, f"expired {PAST}"),
        ({"owner": ended_mark()}, "its owner has ended"),
        ({"state": STARTING}, "its command was killed"),
        ({"engine": "local", "state": STARTING}, "its keeper was killed, and its processes with it"),
        ({"keeper": "", "state": STARTING, "process": ended_mark()}, "its command was killed"),
    ],
)
def test_what_is_removed_is_told(session: Session, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], why: str) -> None:
    saved(session, **changes)
    recover_instances(session)
    assert capsys.readouterr() == ("", f"envctl: t (t-123456) was removed: {why}\n")


def test_what_stays_is_told_too(session: Session, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.left = ["network t", "volume t"]
    saved(session, expires=PAST)
    recover_instances(session)
    assert capsys.readouterr().err.endswith("; left behind: network t, volume t\n")


@pytest.mark.parametrize("ending", ["t", "t-123456"])
def test_what_is_about_to_go_is_left_to_the_command(session: Session, world: World, ending: str) -> None:
    saved(session, expires=PAST)
    saved(session, "other-1", name="other", expires=PAST)
    recover_instances(session, [ending])
    assert world.removed == ["other-1"]


def test_what_another_command_works_on_is_left_alone(session: Session, world: World) -> None:
    saved(session, expires=PAST)
    with lock(session.store.folder("t-123456")):
        recover_instances(session)
    assert world.done == LEFT_ALONE


def test_it_is_looked_at_again_under_the_lock(session: Session, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command has already started the keeper."""
    record = saved(session)

    @contextmanager
    def meanwhile(folder: Path, wait: float) -> Iterator[None]:
        session.store.update(record, lambda record: replace(record, keeper=process_mark()))
        with lock(folder, wait=wait):
            yield

    monkeypatch.setattr(recovery, "lock", meanwhile)
    recover_instances(session)
    assert world.done == LEFT_ALONE


def test_one_that_cannot_be_helped_does_not_keep_the_others(session: Session, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_engine(location: Location, host: object) -> str:
        if location.engine == "docker":
            raise EnvctlError("no daemon")
        return location.engine

    monkeypatch.setattr("envctl.lifecycle.recovery.open_engine", open_engine)
    saved(session, "a-1", expires=PAST)
    saved(session, "b-1", engine="local")
    recover_instances(session)
    assert world.removed == ["b-1"]
    assert [record.id for record in session.store.all()] == ["a-1"]


def test_folders_that_killed_commands_left_are_swept(session: Session) -> None:
    folder = session.store.folder("killed-early-000000")
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    recover_instances(session)
    assert not folder.exists()


@pytest.mark.parametrize("content", ['{"version": 99}', "{", "{}"])
def test_one_whose_record_cannot_be_read_is_left_alone(session: Session, world: World, content: str) -> None:
    """Other instances are recovered all the same."""
    path = session.store.folder("a-1") / RECORD
    path.parent.mkdir(parents=True)
    path.write_text(content)
    saved(session)
    recover_instances(session)
    assert world.done == STARTED
    assert path.read_text() == content
