"""The keeper of an instance as a command sees it."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from envctl import instance
from envctl.errors import EnvctlError
from envctl.instance import Record
from envctl.keeper.marks import kill_marked
from envctl.keeper.marks import marked as marked_processes
from envctl.keeper.system import start_time
from envctl.keeper_client import client, keepers
from envctl.keeper_client.keepers import Keeper, KeeperGone, KeeperSilent
from tests.builders import record_of
from tests.processes import until

ID = "t-123456"
FUTURE, LATER = "2999-01-01T00:00:00Z", "2999-01-02T00:00:00Z"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder of the test's own; every keeper of it ends with the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    before = list(keepers._children)
    yield tmp_path
    keepers.dismiss(keepers.find(ID), ID)
    for process in keepers._children[len(before) :]:
        process.kill()
        process.wait(30)


@pytest.fixture
def record() -> Record:
    found = record_of(engine="local")
    found.save()
    return found


def shown(keeper: Keeper) -> dict[str, Any]:
    status, content = keeper.ask("GET", "/v1/keeper")
    assert status == 200
    return dict(content)


def killed(keeper: Keeper) -> None:
    os.kill(keeper.pid, signal.SIGKILL)
    until(lambda: not instance.running(keeper.pid))


# Found


def test_no_keeper_has_told_where_it_is(record: Record) -> None:
    assert keepers.find(ID) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"port": 1, "token": "x"}', '{"port": "x", "token": "x", "pid": 1}'])
def test_an_address_that_cannot_be_read(record: Record, text: str) -> None:
    (record.folder / "keeper.json").write_text(text)
    assert keepers.find(ID) is None


def test_a_keeper_that_has_ended_is_none(record: Record) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    (record.folder / "keeper.json").write_text(json.dumps({"port": 1, "token": "x", "pid": process.pid}))
    assert keepers.find(ID) is None


def test_a_reused_number_is_no_keeper(record: Record) -> None:
    """Another process has the number of one that was killed."""
    with subprocess.Popen(["sleep", "600"]) as process:
        address = {"port": 1, "token": "x", "pid": process.pid, "start": "1"}
        (record.folder / "keeper.json").write_text(json.dumps(address))
        assert keepers.find(ID) is None
        Keeper(1, "x", process.pid, "1").kill()
        Keeper(1, "x", process.pid).kill()
        assert process.poll() is None, "nobody is killed who cannot be told from another"
        (record.folder / "keeper.json").write_text(json.dumps(address | {"start": start_time(process.pid)}))
        assert keepers.find(ID) == Keeper(1, "x", process.pid, start_time(process.pid))
        process.kill()


# Started


def test_one_is_started_and_known(record: Record) -> None:
    keeper = keepers.ensure(record, watched=False)
    assert keepers.find(ID) == keeper
    assert shown(keeper)["id"] == ID
    assert instance.process_mark(keeper.pid) == record.keeper
    saved = instance.load(ID)
    assert saved is not None
    assert saved.keeper == record.keeper


def test_there_is_one_and_it_learns_when_the_instance_expires(record: Record) -> None:
    record.expires = FUTURE
    keeper = keepers.ensure(record, watched=False)
    assert shown(keeper)["expires"] == FUTURE
    record.expires = LATER
    assert keepers.ensure(record, watched=False) == keeper
    assert shown(keeper)["expires"] == LATER
    record.expires = None
    keepers.ensure(record, watched=False)
    assert shown(keeper)["expires"] is None


def test_one_that_was_killed_is_started_again(record: Record) -> None:
    first = keepers.ensure(record, watched=False)
    killed(first)
    second = keepers.ensure(record, watched=False)
    assert second.pid != first.pid
    assert shown(second)["id"] == ID


def test_what_says_who_it_is_and_holds_secrets_is_ours_alone(record: Record) -> None:
    keepers.ensure(record, watched=False)
    modes = {path.name: path.stat().st_mode & 0o077 for path in [record.folder, *record.folder.iterdir()]}
    assert set(modes.values()) == {0}
    assert {"keeper.json", "keeper-config.json", "keeper.log"} <= modes.keys()


def test_its_environment_has_no_options(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that it runs in the end must mean this instance."""
    monkeypatch.setenv("ENVCTL_NAME", "other")
    monkeypatch.setenv("OF_THIS_SHELL", "yes")
    found = keepers._environment(ID, {"envctl.name": "Zoë %"})
    assert {key for key in found if key.startswith("ENVCTL_")} == {"ENVCTL_MARK", "ENVCTL_ABOUT"}
    assert (found["ENVCTL_MARK"], found["OF_THIS_SHELL"]) == (ID, "yes")
    assert found["ENVCTL_ABOUT"].isascii()
    assert " " not in found["ENVCTL_ABOUT"]


def test_an_instance_is_known_by_its_keeper_alone(record: Record) -> None:
    keepers.ensure(record, watched=False)
    assert keepers.seen_alone()[ID] == {**record.marks, "envctl.engine": "local"}


def marked(about: str, user: int | None = None) -> subprocess.Popen[bytes]:
    """A process that says whose keeper it is."""
    return subprocess.Popen(["sleep", "600"], env={"PATH": os.defpath, "ENVCTL_ABOUT": quote(about, safe="")}, user=user)


@pytest.mark.parametrize("about", ["", "no json", "[]", "{}", '{"envctl.instance": "../../etc"}', '{"envctl.instance": 3}'])
def test_what_is_no_keepers_word_is_not_believed(about: str) -> None:
    before = keepers.seen_alone()
    with marked(about) as process:
        assert keepers.seen_alone() == before
        process.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start another user's process")
def test_nor_is_another_users() -> None:
    with marked(json.dumps(record_of().marks)) as ours, marked(json.dumps(record_of(id="s-123456").marks), 12345) as theirs:
        assert "t-123456" in keepers.seen_alone()
        assert "s-123456" not in keepers.seen_alone()
        ours.kill()
        theirs.kill()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("print('one'); print('no room for it'); raise SystemExit(3)", "no room for it"),
        ("raise SystemExit(3)", "it says nothing"),
        ("import time; print('waits', flush=True); time.sleep(600)", "waits"),
    ],
    ids=["it ends", "in silence", "it hangs"],
)
def test_one_that_does_not_start_says_why(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(script)
    monkeypatch.setattr(keepers, "PROGRAM", program)
    monkeypatch.setattr(keepers, "START_TIMEOUT", 1.0)
    with pytest.raises(EnvctlError, match=f"the keeper of {ID} does not start: {words}"):
        keepers.ensure(record, watched=False)
    until(lambda: keepers._children[-1].poll() is not None)
    assert keepers.find(ID) is None


# Watched


def test_a_watched_one_tears_down_when_its_owner_ends(record: Record) -> None:
    record.owner = instance.process_mark()
    record.save()
    keeper = keepers.ensure(record, watched=True)
    assert shown(keeper)["owned"]
    keepers._held.pop(ID).close()  # as the kernel does it for a process that ends
    until(lambda: instance.load(ID) is None)
    until(lambda: not instance.running(keeper.pid))


def test_a_released_one_outlives_its_owner(record: Record) -> None:
    keeper = keepers.ensure(record, watched=True)
    keepers.release(ID)
    until(lambda: not shown(keeper)["owned"])
    assert instance.load(ID) is not None
    keepers.release(ID)  # nobody is held any more


def test_an_unwatched_one_has_no_owner(record: Record) -> None:
    assert not shown(keepers.ensure(record, watched=False))["owned"]


@pytest.mark.parametrize("watched", [True, False], ids=["it watches us", "it was there before"])
def test_a_lost_keeper_is_noticed(record: Record, watched: bool) -> None:
    keeper = keepers.ensure(record, watched=watched)
    assert not keepers.lost(record)
    killed(keeper)
    until(lambda: keepers.lost(record))


# The end


def test_a_dismissed_one_ends_and_tears_nothing_down(record: Record) -> None:
    keeper = keepers.ensure(record, watched=True)
    keepers.dismiss(keeper, ID)
    until(lambda: not instance.running(keeper.pid))
    assert instance.load(ID) is not None
    assert not (record.folder / "keeper.json").exists()
    keepers.dismiss(keeper, ID)  # twice, and where none was
    keepers.dismiss(None, ID)


def test_an_instance_that_expires_is_removed(record: Record) -> None:
    record.expires = instance.now(1)
    record.save()
    keeper = keepers.ensure(record, watched=False)
    until(lambda: instance.load(ID) is None)
    until(lambda: not instance.running(keeper.pid))


def test_stopping_processes_leaves_the_keeper(record: Record) -> None:
    keeper = keepers.ensure(record, watched=False)
    record.folder.joinpath("logs").mkdir()
    for name in ("a", "b"):
        log = str(record.folder / "logs" / name)
        body = {"name": name, "argv": ["sleep", "600"], "env": {"PATH": os.defpath}, "cwd": "/", "log": log}
        assert keeper.ask("POST", "/v1/processes", body)[0] == 201
    assert keepers.stop_processes(ID, {"a": 5.0})
    told = keeper.ask("GET", "/v1/processes")[1]
    assert {name: (each["running"], each["status"]) for name, each in told.items()} == {"a": (False, 143), "b": (False, 137)}
    assert not keepers.stop_processes("nobody-000000", {})


# Whoever does not answer


@contextmanager
def answering(status: int, body: bytes) -> Iterator[Keeper]:
    """Somebody at a keeper's address who always gives the same answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Keeper(server.server_address[1], "x", os.getpid())
        server.shutdown()
        thread.join()


def test_a_keeper_that_tears_down_is_gone() -> None:
    with answering(503, b'{"error": "it is tearing down"}') as keeper, pytest.raises(KeeperGone, match="it has expired, or lost its owner"):
        keeper.ask("GET", "/v1/keeper")


def test_who_answers_in_another_language_is_no_keeper() -> None:
    with answering(200, b"<html>") as keeper, pytest.raises(KeeperGone, match="the keeper does not answer"):
        keeper.ask("GET", "/v1/keeper")


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for ask in (lambda keeper: keeper.ask("GET", "/v1/keeper"), lambda keeper: keeper.stream("/v1/exit-events")):
        with pytest.raises(KeeperGone, match=r"the keeper does not answer: .*refused"):
            ask(Keeper(port, "x", 1))


def test_one_that_removes_an_earlier_instance_of_the_name_gives_way(record: Record) -> None:
    """It learns that the record names another keeper now, and stops."""
    with answering(503, b"{}") as old:
        address = {"port": old.port, "token": "x", "pid": os.getpid()}
        (record.folder / "keeper.json").write_text(json.dumps(address))
        new = keepers.ensure(record, watched=False)
    assert new.pid != os.getpid()
    assert shown(new)["id"] == ID


@pytest.fixture
def alone() -> Iterator[Record]:
    """An instance whose id no other run of these tests has: what carries it is killed."""
    found = record_of(engine="local", id=f"h-{os.getpid():06x}")
    found.save()
    yield found
    kill_marked(found.id)


def halted(record: Record, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """One with a process, that has been stopped; nobody has to wait long for it."""
    keeper = keepers.ensure(record, watched=False)
    body = {"name": "a", "argv": ["sleep", "600"], "env": {"PATH": os.defpath}, "cwd": "/", "log": str(record.folder / "a.log")}
    assert keeper.ask("POST", "/v1/processes", body)[0] == 201
    os.kill(keeper.pid, signal.SIGSTOP)
    monkeypatch.setattr(client, "QUICK", 0.3)
    return keeper


@pytest.mark.parametrize("timeout", [0.2, 600.0, None], ids=["a quick question", "a long one", "one without an end"])
def test_a_halted_one_is_silent(alone: Record, monkeypatch: pytest.MonkeyPatch, timeout: float | None) -> None:
    keeper = halted(alone, monkeypatch)
    with pytest.raises(KeeperSilent):
        keeper.ask("GET", "/v1/processes", timeout=timeout)
    monkeypatch.setattr(client, "QUICK", 600.0)
    with pytest.raises(KeeperSilent):
        keeper.ask("GET", "/v1/processes")


def test_a_halted_one_is_replaced_and_what_it_had_ends_first(alone: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    old = halted(alone, monkeypatch)
    monkeypatch.setattr(keepers, "_spawn", lambda record, watched: (instance.running(old.pid), marked_processes(record.id)))
    assert keepers.ensure(alone, watched=False) == (False, {})


def test_removing_ends_a_halted_one(alone: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    old = halted(alone, monkeypatch)
    assert not keepers.stop_processes(alone.id, {"a": 10.0})
    until(lambda: not instance.running(old.pid))


# Whose it is


def test_what_starts_meanwhile_carries_the_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    def mark() -> str:
        script = "import os; print(os.environ.get('ENVCTL_MARK'))"
        return subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True).stdout.strip()

    monkeypatch.delenv("ENVCTL_MARK", raising=False)
    with keepers.marking(ID):
        with keepers.marking("inner-000000"):
            assert mark() == "inner-000000"
        assert mark() == ID
    assert mark() == "None"


def test_the_mark_goes_though_something_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENVCTL_MARK", raising=False)
    with pytest.raises(OSError, match="no"), keepers.marking(ID):
        raise OSError("no")
    assert "ENVCTL_MARK" not in os.environ


@pytest.mark.parametrize(
    ("by_keeper", "keeper", "answer"),
    [
        ("", instance.process_mark(), False),
        ("1", instance.process_mark(), True),
        ("1", instance.process_mark(os.getppid()), False),
        ("1", "elsewhere:1:1", False),
        ("1", "", False),
    ],
    ids=["no keeper asks us", "another keeper has it now", "our own keeper has it", "another machine's", "none has"],
)
def test_who_may_tear_down(monkeypatch: pytest.MonkeyPatch, by_keeper: str, keeper: str, answer: bool) -> None:
    monkeypatch.setenv("ENVCTL_KEEPER", by_keeper)
    assert keepers.replaced(record_of(keeper=keeper)) is answer
