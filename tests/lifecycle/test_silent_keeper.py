"""A keeper that runs but does not answer: every command says that it cannot tell the state, and services keep running."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envctl.cli.app import invoke
from envctl.errors import EnvctlError
from envctl.instance.record import Record
from envctl.keeper.process_marks import kill_marked, marked
from envctl.keeper_client import client
from envctl.keeper_client.client import KeeperSilent
from envctl.lifecycle.change import extend
from envctl.lifecycle.down import remove_named
from envctl.lifecycle.options import UpOptions
from envctl.lifecycle.up import up
from envctl.session import Session
from tests.builders import session_in
from tests.processes import until

OPTIONS = UpOptions(environment="env.yaml", engine="local")


@pytest.fixture
def here(tmp_path: Path) -> Session:
    (tmp_path / "envctl.toml").touch()
    (tmp_path / "env.yaml").write_text("name: env\nservices:\n  a: {run: sleep 600}\n")
    return session_in(tmp_path / "state", tmp_path)


@pytest.fixture
def silent(here: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Record]:
    """Yield the record of an instance that is up and whose keeper is stopped by SIGSTOP."""
    record = up(here, OPTIONS).record
    keeper = here.keepers.find(record.id)
    assert keeper is not None
    monkeypatch.setattr(client, "QUICK", 0.3)
    os.kill(keeper.pid, signal.SIGSTOP)
    yield record
    if keeper.runs:
        os.kill(keeper.pid, signal.SIGCONT)
    remove_named(session_in(here.store.home.parent, here.cwd), record.id)
    kill_marked(record.id)


ASKS: dict[str, Callable[[Session, Record], object]] = {
    "extend": lambda session, record: extend(session, record, 3600),
    "up": lambda session, record: up(session, OPTIONS),
    "status": lambda session, record: invoke(session, ["status", record.name], 2),
}


@pytest.mark.parametrize("command", ASKS)
def test_nothing_ends_and_nothing_is_claimed(here: Session, silent: Record, command: str) -> None:
    before = marked(silent.id)
    with pytest.raises(KeeperSilent, match="its state is unknown") as caught:
        ASKS[command](here, silent)
    assert caught.value.exit_code == 1
    assert len(before) > 1
    assert marked(silent.id) == before
    assert here.store.load(silent.id) == silent


def test_list_says_that_it_cannot_tell(here: Session, silent: Record, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(here, ["list"], 2) == 1
    told = capsys.readouterr()
    assert "unknown" in told.out
    assert "env: its state is unknown" in told.err


def test_down_ends_it(here: Session, silent: Record) -> None:
    assert [done.left for done in remove_named(here, silent.id)] == [()]
    until(lambda: not marked(silent.id))


def test_it_is_told_more_time_once_it_answers(here: Session, silent: Record) -> None:
    with pytest.raises(EnvctlError):
        extend(here, silent, 3600)
    keeper = here.keepers.find(silent.id)
    assert keeper is not None
    os.kill(keeper.pid, signal.SIGCONT)
    again = session_in(here.store.home.parent, here.cwd)
    extended = extend(again, silent, 3600)
    found = again.keepers.find(silent.id)
    assert found is not None
    assert found.ask("GET", "/v1/keeper")[1]["expires"] == extended.expires
