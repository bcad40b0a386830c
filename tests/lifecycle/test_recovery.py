"""What every command does about keepers that were killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl import engines, instance
from envctl.errors import EnvctlError
from envctl.instance import Record
from envctl.keeper_client import keepers
from envctl.lifecycle import down, recovery
from envctl.lifecycle.recovery import recover_instances
from tests.builders import record_of

PAST, FUTURE = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


def ended() -> str:
    """The mark of a process of this machine that has ended."""
    host, pid, _ = instance.process_mark().rsplit(":", 2)
    return f"{host}:{pid}:0"


class World:
    """What was done instead of starting keepers and removing things."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.removed: list[str] = []
        self.left: list[str] = []

    def ensure(self, record: Record, *, watched: bool) -> None:
        assert not watched
        self.started.append(record.id)

    def tear_down(self, engine: str, record: Record) -> list[str]:
        assert engine == record.engine
        self.removed.append(record.id)
        record.remove()
        return self.left

    @property
    def done(self) -> tuple[list[str], list[str]]:
        return self.started, self.removed


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(keepers, "ensure", found.ensure)
    monkeypatch.setattr(down, "tear_down", found.tear_down)
    monkeypatch.setattr(engines, "open_engine", lambda name, *place: name)
    return found


def saved(id: str = "t-123456", **changes: Any) -> Record:
    record = record_of(**{"id": id, "state": "up", "keeper": ended(), **changes})
    record.save()
    return record


STARTED, REMOVED, LEFT_ALONE = (["t-123456"], []), ([], ["t-123456"]), ([], [])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, STARTED),
        ({"expires": FUTURE}, STARTED),
        ({"owner": instance.process_mark()}, STARTED),
        ({"owner": "elsewhere:1:1"}, STARTED),
        ({"state": "failed"}, STARTED),
        ({"state": "changing", "process": ended()}, STARTED),
        ({"local": ["api"]}, STARTED),
        ({"expires": PAST}, REMOVED),
        ({"owner": ended()}, REMOVED),
        ({"state": "starting"}, REMOVED),
        ({"state": "removing"}, REMOVED),
        ({"engine": "local"}, REMOVED),
        ({"keeper": "", "state": "starting", "process": ended()}, REMOVED),
        ({"keeper": instance.process_mark()}, LEFT_ALONE),
        ({"keeper": instance.process_mark(), "expires": PAST}, LEFT_ALONE),
        ({"keeper": "elsewhere:1:1"}, LEFT_ALONE),
        ({"keeper": "", "state": "starting", "process": instance.process_mark()}, LEFT_ALONE),
        ({"keeper": "", "process": ""}, LEFT_ALONE),
        ({"keeper": instance.process_mark(), "state": "removing", "process": instance.process_mark()}, LEFT_ALONE),
        ({"keeper": instance.process_mark(), "state": "removing", "process": ""}, LEFT_ALONE),
        ({"keeper": instance.process_mark(), "state": "changing", "process": ended()}, LEFT_ALONE),
        ({"keeper": instance.process_mark(), "state": "removing", "process": ended()}, LEFT_ALONE),
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
def test_an_instance(world: World, changes: dict[str, Any], expected: tuple[list[str], list[str]]) -> None:
    saved(**changes)
    recover_instances()
    assert world.done == expected


class FakeKeeper:
    def __init__(self, owned: bool | None) -> None:
        self.owned = owned

    def ask(self, method: str, path: str, timeout: float) -> tuple[int, Any]:
        if self.owned is None:
            raise keepers.KeeperSilent("no answer")
        return 200, {"owned": self.owned}


@pytest.mark.parametrize("state", ["starting", "removing"])
@pytest.mark.parametrize(("owned", "expected"), [(True, LEFT_ALONE), (False, REMOVED), (None, REMOVED)], ids=["watched", "not", "silent"])
def test_whose_command_was_killed_beside_its_keeper(
    world: World, monkeypatch: pytest.MonkeyPatch, state: str, owned: bool | None, expected: tuple[list[str], list[str]]
) -> None:
    monkeypatch.setattr(keepers, "find", lambda instance: FakeKeeper(owned))
    saved(keeper=instance.process_mark(), state=state, process=ended())
    recover_instances()
    assert world.done == expected


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"expires": PAST}, f"expired {PAST}"),
        ({"owner": ended()}, "its owner has ended"),
        ({"state": "starting"}, "its command was killed"),
        ({"engine": "local", "state": "starting"}, "its keeper was killed, and its processes with it"),
        ({"keeper": "", "state": "starting", "process": ended()}, "its command was killed"),
    ],
)
def test_what_is_removed_is_told(capsys: pytest.CaptureFixture[str], changes: dict[str, Any], why: str) -> None:
    saved(**changes)
    recover_instances()
    assert capsys.readouterr() == ("", f"envctl: t (t-123456) was removed: {why}\n")


def test_what_stays_is_told_too(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.left = ["network t", "volume t"]
    saved(expires=PAST)
    recover_instances()
    assert capsys.readouterr().err.endswith("; left behind: network t, volume t\n")


@pytest.mark.parametrize("ending", ["t", "t-123456"])
def test_what_is_about_to_go_is_left_to_the_command(world: World, ending: str) -> None:
    saved(expires=PAST)
    saved("other-1", name="other", expires=PAST)
    recover_instances([ending])
    assert world.removed == ["other-1"]


def test_what_another_command_works_on_is_left_alone(world: World) -> None:
    saved(expires=PAST)
    with instance.lock("t-123456"):
        recover_instances()
    assert world.done == LEFT_ALONE


def test_it_is_looked_at_again_under_the_lock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command was quicker."""
    record, lock = saved(), instance.lock

    def meanwhile(id: str, wait: float) -> Any:
        record.keeper = instance.process_mark()
        record.save()
        return lock(id, wait=wait)

    monkeypatch.setattr(recovery.instance, "lock", meanwhile)
    recover_instances()
    assert world.done == LEFT_ALONE


def test_one_that_cannot_be_helped_does_not_keep_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_engine(name: str, *place: object) -> str:
        if name == "docker":
            raise EnvctlError("no daemon")
        return name

    monkeypatch.setattr(engines, "open_engine", open_engine)
    saved("a-1", expires=PAST)
    saved("b-1", engine="local")
    recover_instances()
    assert world.removed == ["b-1"]
    assert [record.id for record in instance.records()] == ["a-1"]


def test_folders_that_killed_commands_left_are_swept(tmp_path: Path) -> None:
    folder = tmp_path / "envctl/killed-early-000000"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    recover_instances()
    assert not folder.exists()
