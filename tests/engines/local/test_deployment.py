"""Services that a keeper starts, stops and loses."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from envctl.engines import Execution, PortTaken
from envctl.engines.free_ports import any_port
from envctl.engines.local import engine as engine_module
from envctl.engines.local.engine import LocalEngine, open_engine
from envctl.engines.logs import text
from envctl.errors import EnvctlError, ServiceFailed, UsageError
from envctl.instance.record import Location
from envctl.keeper_client import client
from envctl.keeper_client.client import KeeperClient, KeeperGone
from envctl.lifecycle.keeper import ensure_keeper
from envctl.plan.model import File, Limits
from envctl.session import Session
from tests.builders import port, record_of, service, session_in
from tests.processes import running, until

from .conftest import ID, Made, plan_of, settings_of, shell

SLEEPS = "exec sleep 600"


def printed(path: Path) -> str:
    return str(until(lambda: path.exists() and path.read_text()))


# Starting


def test_a_service_runs_in_its_folder_with_its_environment_and_files(
    made: Made, tmp_path: Path, engine: LocalEngine, session: Session
) -> None:
    script = 'echo "$PWD $WORD $(cat $ROOT/etc/thing)"'
    root = engine.deployment(plan_of(), settings_of(session)).root("a")
    project = made(shell("a", script, tmp_path, env={"WORD": "word", "ROOT": str(root)}, files={"/etc/thing": File("file")}))
    project.start(project.plan.services["a"])
    assert until(lambda: text(project.logs("a"))) == f"{tmp_path} word file\n"
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert stat.S_IMODE(project.log_file("a").stat().st_mode) == 0o600
    assert stat.S_IMODE(project.log_file("a").parent.stat().st_mode) == 0o700


def test_one_that_runs_is_not_started_again(made: Made, tmp_path: Path) -> None:
    project = made(shell("a", f"echo; {SLEEPS}", tmp_path))
    for _ in range(2):
        project.start(project.plan.services["a"])
    assert project.state("a").running
    assert until(lambda: text(project.logs("a"))) == "\n"


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"run": ("no-such-program", "x")}, "no such program"), ({"folder": Path("/no/such/folder")}, "no such folder")],
)
def test_one_that_cannot_start_says_why(made: Made, tmp_path: Path, changes: dict[str, object], why: str) -> None:
    project = made(replace(shell("a", SLEEPS, tmp_path), **changes))  # type: ignore[arg-type]
    with pytest.raises(ServiceFailed, match=f"a cannot start: .*{why}") as caught:
        project.start(project.plan.services["a"])
    assert caught.value.evidence is not None
    assert "`run:`" in caught.value.evidence.advice


def test_nothing_starts_without_a_keeper(made: Made, keeper: KeeperClient, tmp_path: Path, session: Session) -> None:
    project = made(shell("a", SLEEPS, tmp_path))
    session.keepers.dismiss(keeper, ID)
    with pytest.raises(KeeperGone):
        project.start(project.plan.services["a"])


@pytest.mark.parametrize(
    ("enforced", "losses"),
    [
        ({"memory_bytes": "rlimit", "cpu": None}, ["a: its CPU is not limited: only an administrator may do that here"]),
        ({"memory_bytes": "cgroup", "cpu": "cgroup"}, []),
    ],
)
def test_a_limit_that_the_kernel_refuses_is_a_loss(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enforced: dict[str, str | None], losses: list[str]
) -> None:
    ask, told = KeeperClient.ask, []

    def refusing(keeper: KeeperClient, method: str, path: str, body: Any = None, timeout: float | None = 60.0) -> tuple[int, Any]:
        status, answer = ask(keeper, method, path, body, timeout)
        return status, {**answer, "enforced": enforced} if status == 201 else answer

    project = made(shell("a", SLEEPS, tmp_path, resources=Limits(memory=1 << 30, cpu=0.5)))
    project.prepare(lambda service, text: told.append(text))
    monkeypatch.setattr(KeeperClient, "ask", refusing)
    project.start(project.plan.services["a"])
    assert told == losses


# Stopping


def test_stopping_is_polite_and_what_it_had_started_goes_too(made: Made, tmp_path: Path) -> None:
    script = f"trap 'echo bye > {tmp_path}/bye; exit 0' TERM; sleep 600 & echo $! > {tmp_path}/child; wait"
    project = made(shell("a", script, tmp_path))
    project.start(project.plan.services["a"])
    child = int(printed(tmp_path / "child"))
    project.stop(project.plan.services["a"])
    assert (tmp_path / "bye").exists()
    assert not running(child)
    assert (project.state("a").running, project.state("a").status) == (False, 0)


def test_discarded_data_are_gone_and_new_ones_are_others(made: Made, tmp_path: Path) -> None:
    db = shell("a", SLEEPS, tmp_path, data="/data")
    project = made(db)
    project.start(db)
    before = project.data_id(db)
    (project.root("a") / "data/row").touch()
    project.discard(db)
    assert not project.state("a").running
    assert (project.root("a").exists(), project.data_id(db)) == (False, "")
    project.create(whole=False)
    assert project.data_id(db) not in ("", before)
    assert list((project.root("a") / "data").iterdir()) == []


# Changing


def test_create_again_keeps_data_and_what_runs(made: Made, tmp_path: Path) -> None:
    db = shell("a", SLEEPS, tmp_path, data="/data")
    project = made(db)
    project.start(db)
    before = (project.data_id(db), project.state("a").id)
    (project.root("a") / "data/row").touch()
    again = made(db)
    assert (again.data_id(db), again.state("a").id) == before
    assert (project.root("a") / "data/row").exists()


def test_what_has_changed_is_stopped_and_keeps_its_data(made: Made, tmp_path: Path) -> None:
    db = shell("a", SLEEPS, tmp_path, data="/data")
    first = made(db)
    first.start(db)
    second = made(replace(db, env={"WORD": "other"}))
    assert not second.state("a").running
    assert second.data_id(db) == first.data_id(db)


def test_what_the_definition_names_no_more_is_gone(made: Made, tmp_path: Path) -> None:
    a, b = shell("a", SLEEPS, tmp_path), shell("b", SLEEPS, tmp_path)
    for each in (a, b):
        made(a, b).start(each)
    project = made(a)
    assert {name: state.running for name, state in project.states().items()} == {"a": True}
    assert (list(project.specs()), project.root("b").exists()) == (["a"], False)


def test_a_part_leaves_the_rest_alone(made: Made, tmp_path: Path, engine: LocalEngine, session: Session) -> None:
    a, b = shell("a", SLEEPS, tmp_path), shell("b", SLEEPS, tmp_path)
    made(a, b).start(b)
    part = engine.deployment(plan_of(a), settings_of(session))
    part.create(whole=False)
    assert (sorted(part.specs()), part.state("b").running) == (["a", "b"], True)


# Commands


def test_a_command_has_the_services_environment_and_folder(made: Made, tmp_path: Path) -> None:
    project = made(shell("a", SLEEPS, tmp_path, env={"A": "of the service", "B": "too"}))
    ran = project.execute("a", Execution(["sh", "-c", "pwd; echo $A, $B, $ENVCTL_MARK; exit 3"], {"A": "of the command"}))
    assert (ran.status, ran.output) == (3, f"{tmp_path}\nof the command, too, {ID}\n")


# One-off commands


def test_a_command_of_its_own(made: Made, tmp_path: Path) -> None:
    project = made(shell("a", SLEEPS, tmp_path, env={"WORD": "word"}))
    a = project.plan.services["a"]
    ran = project.run_command(a, ["sh", "-c", "echo $WORD $PWD; echo err >&2; exit 3"])
    assert (ran.status, ran.output) == (3, f"word {tmp_path}\nerr\n")
    assert project.run_command(a, ["true"]).output == ""
    assert set(project.states()) == {"a"}, "it is no service"
    assert list(project.log_file("x").parent.iterdir()) == []


def test_commands_at_the_same_time(made: Made, tmp_path: Path) -> None:
    project = made(shell("a", SLEEPS, tmp_path))
    found: dict[int, str] = {}

    def once(number: int) -> None:
        found[number] = project.run_command(project.plan.services["a"], ["sh", "-c", f"sleep 0.1; echo {number}"]).output

    threads = [threading.Thread(target=once, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: f"{number}\n" for number in range(5)}


# Exits


def test_a_death_is_told(made: Made, tmp_path: Path) -> None:
    project = made(shell("a", "exit 3", tmp_path))
    told: list[tuple[str, int]] = []
    losses: list[BaseException] = []
    with project.exit_events(lambda *words: told.append(words), losses.append):
        project.start(project.plan.services["a"])
        assert until(lambda: told) == [("a", 3)]
    assert (told, losses) == ([("a", 3)], [])


def test_with_the_keeper_everything_dies_and_nobody_tells_how(made: Made, keeper: KeeperClient, tmp_path: Path) -> None:
    project = made(shell("a", SLEEPS, tmp_path), shell("b", SLEEPS, tmp_path))
    ends: list[tuple[str, int]] = []
    losses: list[BaseException] = []
    with project.exit_events(lambda *end: ends.append(end), losses.append):
        project.start(project.plan.services["a"])
        os.kill(keeper.pid, signal.SIGKILL)
        [loss] = until(lambda: losses)
    assert isinstance(loss, KeeperGone)
    assert "its processes with it" in loss.message
    assert ends == []
    with pytest.raises(KeeperGone):
        project.state("a")


def test_a_listener_that_breaks_is_told(made: Made, tmp_path: Path) -> None:
    project = made(shell("a", "exit 3", tmp_path))
    losses: list[BaseException] = []

    def breaks(service: str, status: int) -> None:
        raise OSError("no such terminal")

    with project.exit_events(breaks, losses.append):
        project.start(project.plan.services["a"])
        [loss] = until(lambda: losses)
    assert str(loss) == "no such terminal"


@pytest.mark.parametrize("words", ["bind: Address already in use", "listen EADDRINUSE: address", "could not bind: address in use"])
def test_a_port_that_somebody_has_taken(made: Made, tmp_path: Path, words: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = port("main", 80, other.getsockname()[1])
        project = made(shell("a", f"echo '{words}'; exit 1", tmp_path, ports=(taken,)), shell("b", "exit 1", tmp_path))
        for each in project.plan.services.values():
            project.start(each)
            until(partial(lambda name: not project.state(name).running, each.name))
        assert isinstance(project.exit_reason(project.plan.services["a"]), PortTaken)
    assert project.exit_reason(project.plan.services["b"]) is None


@pytest.mark.parametrize(("written", "which"), [("", "it uses a port of its own"), ("a", "a and a-lane2 use the same one")])
def test_a_port_that_nobody_has_chosen_is_not_said_to_be_another_programs(made: Made, tmp_path: Path, written: str, which: str) -> None:
    free = port("main", 80, any_port())
    fails = shell("a", "echo 'bind: Address already in use'; exit 1", tmp_path, ports=(free,), written=written)
    project = made(fails, shell("a-lane2", "exit 1", tmp_path, written=written))
    project.start(project.plan.services["a"])
    until(lambda: not project.state("a").running)
    found = project.exit_reason(project.plan.services["a"])
    assert isinstance(found, ServiceFailed)
    assert not isinstance(found, PortTaken)
    assert found.message == f"a tries to listen on a port that is taken, not on {free.outside}, which is free for it"
    assert found.evidence is not None
    assert found.evidence.advice == f"`${{self.port}}` in `run:` or `env:` is the port that it should use; now {which}"
    assert found.evidence.logs[-1] == "bind: Address already in use"


# Removal


def test_removing_takes_processes_and_files(made: Made, tmp_path: Path, engine: LocalEngine) -> None:
    project = made(shell("a", f"echo up; {SLEEPS}", tmp_path))
    project.start(project.plan.services["a"])
    until(lambda: text(project.logs("a")))
    assert engine.remove(ID, {}) == []
    assert not project.state("a").running
    assert not project.root("a").parent.exists()
    assert (project.specs(), text(project.logs("a"))) == ({}, "")
    assert engine.remove(ID, {}) == [], "twice"


def test_removing_finds_processes_by_their_mark(
    made: Made, keeper: KeeperClient, tmp_path: Path, engine: LocalEngine, session: Session
) -> None:
    """The keeper is killed while the supervisor is stopped, so neither can end the service."""
    project = made(shell("a", f"echo $$ > {tmp_path}/pid; {SLEEPS}", tmp_path))
    project.start(project.plan.services["a"])
    pid = int(printed(tmp_path / "pid"))
    supervisor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(supervisor, signal.SIGSTOP)
    os.kill(keeper.pid, signal.SIGKILL)
    until(lambda: session.keepers.find(ID) is None)
    assert engine.remove(ID, {}) == []
    until(lambda: not running(pid) and not running(supervisor))


def test_nothing_is_removed_below_processes_of_a_halted_keeper(
    made: Made, keeper: KeeperClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: LocalEngine
) -> None:
    project = made(shell("a", f"echo $$ > {tmp_path}/pid; {SLEEPS}", tmp_path))
    project.start(project.plan.services["a"])
    pid = int(printed(tmp_path / "pid"))
    os.kill(keeper.pid, signal.SIGSTOP)
    monkeypatch.setattr(client, "QUICK", 0.3)
    alive: list[bool] = []
    monkeypatch.setattr(engine_module, "PAUSES", ())
    monkeypatch.setattr(shutil, "rmtree", lambda path, ignore_errors: alive.append(running(pid)))
    engine.remove(ID, {"a": 10.0})
    assert alive
    assert not any(alive)


def test_what_cannot_be_removed_is_named(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: LocalEngine) -> None:
    project = made(service("a", run=("true",), folder=tmp_path))
    monkeypatch.setattr(shutil, "rmtree", lambda path, ignore_errors: None)
    monkeypatch.setattr(engine_module, "PAUSES", (0.0,))
    assert engine.remove(ID, {}) == [str(project.root("a").parent)]


def test_what_somebody_writes_while_it_is_removed_goes_too(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: LocalEngine
) -> None:
    project = made(service("a", run=("true",), folder=tmp_path))
    remove, late = shutil.rmtree, [project.root("a") / "data"]

    def remove_and_find_more(path: Path, ignore_errors: bool) -> None:
        remove(path, ignore_errors=ignore_errors)
        if late:
            late.pop().mkdir(parents=True)

    monkeypatch.setattr(shutil, "rmtree", remove_and_find_more)
    assert engine.remove(ID, {}) == []
    assert not project.root("a").parent.exists()


def test_instances_are_seen(made: Made, tmp_path: Path, engine: LocalEngine) -> None:
    project = made(shell("a", SLEEPS, tmp_path), shell("job", "exit 0", tmp_path))
    for each in project.plan.services.values():
        project.start(each)
    until(lambda: not project.state("job").running)
    [seen] = [each for each in engine.list() if each.id == ID]
    assert (seen.name, seen.running, seen.done) == ("t", 1, 1)


def test_one_whose_state_somebody_has_deleted_is_seen_by_its_keeper(keeper: KeeperClient, session: Session, engine: LocalEngine) -> None:
    shutil.rmtree(session.store.folder(ID))
    [seen] = [each for each in engine.list() if each.id == ID]
    assert (seen.name, seen.environment, seen.project, seen.running, seen.kept) == ("t", "t", "/project", 1, False)
    engine.remove(ID, {})
    until(lambda: not keeper.runs)


def test_one_whose_state_is_in_another_home_is_its_keepers_to_remove(keeper: KeeperClient, tmp_path: Path) -> None:
    elsewhere = open_engine(Location("local"), session_in(tmp_path / "elsewhere").host)
    assert [each.kept for each in elsewhere.list() if each.id == ID] == [True]


def test_a_state_that_cannot_be_looked_at_is_no_list_without_instances(tmp_path: Path) -> None:
    elsewhere = open_engine(Location("local"), session_in(tmp_path / ("x" * 300)).host)
    with pytest.raises(UsageError, match="no state can be kept in"):
        elsewhere.list()


def test_one_of_another_engine_is_that_engines_to_see(session: Session, engine: LocalEngine) -> None:
    ensure_keeper(session, session.store.create(record_of(id=ID, engine="docker")), watched=False)
    (session.store.folder(ID) / "instance.json").unlink()
    assert ID not in [each.id for each in engine.list()]
    session.keepers.dismiss(session.keepers.find(ID), ID)


def test_windows_has_no_local_engine(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(EnvctlError, match="Linux or macOS"):
        open_engine(Location("local"), session.host)
