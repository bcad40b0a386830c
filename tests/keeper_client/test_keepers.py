"""Tests of the keepers of a session: start, watch, release and end."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from envctl.instance.machine import process_mark
from envctl.instance.record import Record, now
from envctl.keeper.process_marks import marked
from envctl.keeper_client import client, keepers
from envctl.keeper_client.client import KeeperClient, KeeperSilent
from envctl.session import Session
from tests.builders import session_in
from tests.keeper_client.support import ID, ensure, killed, shown
from tests.keeper_client.test_client import answering
from tests.processes import running, until

FUTURE, LATER = "2999-01-01T00:00:00Z", "2999-01-02T00:00:00Z"


def test_one_is_started_and_known(session: Session, record: Record) -> None:
    keeper = ensure(session, record)
    there = session.keepers.find(ID)
    assert there is not None
    assert there.identity == keeper.identity
    assert shown(keeper)["id"] == ID
    saved = session.store.load(ID)
    assert saved is not None
    assert saved.keeper == process_mark(keeper.pid)


def test_there_is_one_and_it_learns_when_the_instance_expires(session: Session, record: Record) -> None:
    keeper = ensure(session, record, expires=FUTURE)
    assert shown(keeper)["expires"] == FUTURE
    assert ensure(session, record, expires=LATER).identity == keeper.identity
    assert shown(keeper)["expires"] == LATER
    ensure(session, record, expires=None)
    assert shown(keeper)["expires"] is None


def test_one_that_was_killed_is_started_again(session: Session, record: Record) -> None:
    first = ensure(session, record)
    killed(first)
    second = ensure(session, record)
    assert second.pid != first.pid
    assert shown(second)["id"] == ID


# Watched


def test_a_watched_one_tears_down_when_its_owner_ends(session: Session, record: Record) -> None:
    keeper = ensure(session, record, watched=True, owner=process_mark())
    assert shown(keeper)["owned"]
    session.keepers._held.pop(ID).close()  # the kernel closes the socket in this way when a process ends
    until(lambda: session.store.load(ID) is None)
    until(lambda: not running(keeper.pid))


def test_a_released_one_outlives_its_owner(session: Session, record: Record) -> None:
    keeper = ensure(session, record, watched=True)
    session.keepers.release(ID)
    until(lambda: not shown(keeper)["owned"])
    assert session.store.load(ID) is not None
    session.keepers.release(ID)  # repeat without a watched instance


def test_an_unwatched_one_has_no_owner(session: Session, record: Record) -> None:
    assert not shown(ensure(session, record))["owned"]


@pytest.mark.parametrize("watched", [True, False], ids=["it watches us", "it was there before"])
def test_a_lost_keeper_is_noticed(session: Session, record: Record, watched: bool) -> None:
    keeper = ensure(session, record, watched=watched)
    there = session.store.load(ID)
    assert there is not None
    assert not session.keepers.lost(there)
    killed(keeper)
    until(lambda: session.keepers.lost(there))


# The end


def test_a_dismissed_one_ends_and_tears_nothing_down(session: Session, record: Record) -> None:
    keeper = ensure(session, record, watched=True)
    session.keepers.dismiss(keeper, ID)
    assert not running(keeper.pid), "nobody finds it any more"
    assert session.store.load(ID) is not None
    assert not (session.store.folder(ID) / "keeper.json").exists()
    session.keepers.dismiss(keeper, ID)  # a second call, and a call without a keeper, must do nothing
    session.keepers.dismiss(None, ID)


def test_an_instance_that_expires_is_removed(session: Session, record: Record) -> None:
    keeper = ensure(session, record, expires=now(1))
    until(lambda: session.store.load(ID) is None)
    until(lambda: not running(keeper.pid))


def test_stopping_processes_leaves_the_keeper(session: Session, record: Record) -> None:
    keeper = ensure(session, record)
    session.store.folder(ID).joinpath("logs").mkdir()
    for name in ("a", "b"):
        log = str(session.store.folder(ID) / "logs" / name)
        body = {"name": name, "argv": ["sleep", "600"], "env": {"PATH": os.defpath}, "cwd": "/", "log": log}
        assert keeper.ask("POST", "/v1/processes", body)[0] == 201
    assert session.keepers.stop_processes(ID, {"a": 5.0})
    told = keeper.ask("GET", "/v1/processes")[1]
    assert {name: (each["running"], each["status"]) for name, each in told.items()} == {"a": (False, 143), "b": (False, 137)}
    assert not session.keepers.stop_processes("nobody-000000", {})


# Keepers that do not answer


def test_one_that_removes_an_earlier_instance_of_the_name_gives_way(session: Session, record: Record) -> None:
    """The keeper notices that the record names another keeper, and stops."""
    with answering(503, b'{"error": "the instance is being torn down"}') as old:
        address = {"port": old.port, "token": "x", "pid": os.getpid()}
        (session.store.folder(ID) / "keeper.json").write_text(json.dumps(address))
        new = ensure(session, record)
    assert new.pid != os.getpid()
    assert shown(new)["id"] == ID


@pytest.fixture
def halted(session: Session, record: Record, monkeypatch: pytest.MonkeyPatch) -> KeeperClient:
    """Return a stopped keeper (SIGSTOP) that has a process; requests to it time out quickly."""
    keeper = ensure(session, record)
    body = {"name": "a", "argv": ["sleep", "600"], "env": {"PATH": os.defpath}, "cwd": "/", "log": str(session.store.folder(ID) / "a.log")}
    assert keeper.ask("POST", "/v1/processes", body)[0] == 201
    os.kill(keeper.pid, signal.SIGSTOP)
    monkeypatch.setattr(client, "QUICK", 0.3)
    return keeper


def test_a_halted_one_stays_with_what_it_has(session: Session, record: Record, halted: KeeperClient) -> None:
    """A silent keeper is not dead: commands report it, and continue as before once it answers again."""
    before = marked(ID)
    for ask in (lambda: ensure(session, record, expires=FUTURE), lambda: session.keepers.hear(ID)):
        with pytest.raises(KeeperSilent, match="its state is unknown"):
            ask()
    assert marked(ID) == before
    os.kill(halted.pid, signal.SIGCONT)
    again = session_in(session.store.home.parent).keepers.find(ID)
    assert again is not None
    assert again.ask("GET", "/v1/processes")[1]["a"]["running"]


def test_removing_ends_a_halted_one(session: Session, halted: KeeperClient) -> None:
    assert not session.keepers.stop_processes(ID, {"a": 10.0})
    until(lambda: not running(halted.pid))


# Sessions


def test_two_sessions_hold_nothing_of_each_other(session: Session, record: Record, tmp_path: Path) -> None:
    """If one session releases an instance of the same id, the keeper of the other session still watches its own."""
    keeper = ensure(session, record, watched=True)
    other = session_in(tmp_path / "other")
    other.keepers.release(ID)
    assert other.keepers.find(ID) is None
    assert shown(keeper)["owned"]


def test_who_has_called_is_the_process_above() -> None:
    assert keepers.called_by(process_mark(os.getppid()))
    assert not keepers.called_by(process_mark())
    assert not keepers.called_by("")
