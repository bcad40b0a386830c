"""`run` and `test`: what they open and plan, and what they leave behind."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envctl.environment import Environment, open_environment
from envctl.errors import CommandMissing, Interrupted, ServiceFailed, UsageError
from envctl.instance.identity import instance_id
from envctl.instance.machine import process_mark
from envctl.instance.record import InstanceState
from envctl.lifecycle import planning, run, run_in_service, up
from envctl.lifecycle.down import clear
from envctl.lifecycle.options import UpOptions
from envctl.plan.make import make_plan
from envctl.session import Session
from tests.builders import ended_mark, record_of, session_in, write

THREE = """
name: t
services: {a: {run: sleep 600}}
tests:
  one: {run: "true"}
  two: {run: "true"}
  three: {run: sh -c "test -n $ENVCTL_INSTANCE"}
"""


@pytest.fixture
def session(tmp_path: Path) -> Session:
    write(tmp_path, {"envctl.toml": "", "environments/t.yaml": THREE})
    return session_in(tmp_path / "state", tmp_path, HOME="/root")


OPTIONS = UpOptions("t", engine="local")


def test_a_command_inside_runs_like_a_service(session: Session, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, {"environments/t.yaml": "name: t\nservices: {a: {run: sleep 600, env: {OWN: one}}}\noutputs: {OUT: two}\n"})
    assert run.run(session, OPTIONS, ["sh", "-c", "echo $OWN $OUT; printf whole; echo wrong >&2; exit 5"], inside="a") == 5
    printed = capfd.readouterr()
    assert printed.out == "one two\nwhole", "as it is: no line end is added"
    assert "wrong\n" in printed.err
    with pytest.raises(CommandMissing, match="no/such cannot be run in a container like that of a") as failed:
        run.run(session, OPTIONS, ["no/such"], inside="a")
    assert failed.value.exit_code == 127
    with pytest.raises(UsageError, match="--in b: there is no such service"):
        run.run(session, OPTIONS, ["true"], inside="b")
    assert session.store.all() == []


def test_a_signal_reaches_a_command_inside_and_its_last_words_are_passed_on(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = bytearray()

    def hear(piece: bytes, *, error: bool = False) -> None:
        printed.extend(piece)
        if b"begin" in piece:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    monkeypatch.setattr(run_in_service, "pass_on", hear)
    script = "trap 'echo caught; exit 3' INT; echo begin; for i in $(seq 300); do sleep 0.1; done"
    with pytest.raises(Interrupted):
        run.run(session, OPTIONS, ["sh", "-c", script], inside="a")
    assert printed == b"begin\ncaught\n"
    assert session.store.all() == []


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count how often a definition is opened, and how often it is planned."""
    found = {"open": 0, "plan": 0}

    def counting(what: str, real: Any) -> Any:
        def call(*words: Any, **named: Any) -> Any:
            found[what] += 1
            return real(*words, **named)

        return call

    monkeypatch.setattr(planning, "open_environment", counting("open", open_environment))
    monkeypatch.setattr(planning, "make_plan", counting("plan", make_plan))
    return found


def test_three_tests_open_and_plan_the_definition_once(
    session: Session, counted: dict[str, int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run.test(session, OPTIONS) == 0
    assert [line for line in capfd.readouterr().err.splitlines() if "exit" in line] == [
        "envctl: one: exit 0", "envctl: two: exit 0", "envctl: three: exit 0",
    ]  # fmt: skip
    assert counted == {"open": 1, "plan": 1}
    assert session.store.all() == []


def test_up_opens_and_plans_once_and_gives_its_plan(session: Session, counted: dict[str, int]) -> None:
    done = up.up(session, OPTIONS)
    assert counted == {"open": 1, "plan": 1}
    assert list(done.plan.services) == ["a"]
    assert done.plan.tests.keys() == {"one", "two", "three"}
    assert not done.existed
    again = up.up(session, OPTIONS)
    assert (again.existed, again.record.secret) == (True, done.record.secret)
    assert run.test(session, OPTIONS) == 0
    assert [record.state for record in session.store.all()] == [InstanceState.UP], "what was up before stays"
    run_down(session)


def run_down(session: Session) -> None:
    from envctl import down

    for record in session.store.all():
        down(record.id, session=session)
    assert session.store.all() == []


# Instances that were up before


FAILING = THREE.replace("sleep 600", "sh -c 'exit 3'")


@pytest.mark.parametrize("then", [OPTIONS, UpOptions("t", engine="local", keep=True)], ids=["", "--keep"])
def test_a_green_test_after_a_failed_up_leaves_what_is_there(session: Session, then: UpOptions) -> None:
    write(session.cwd, {"environments/t.yaml": FAILING})
    with pytest.raises(ServiceFailed):
        up.up(session, UpOptions("t", engine="local", keep=True))
    assert [record.state for record in session.store.all()] == [InstanceState.FAILED]
    write(session.cwd, {"environments/t.yaml": THREE})
    assert run.test(session, then) == 0
    assert [record.state for record in session.store.all()] == [InstanceState.UP]
    run_down(session)


def test_a_run_that_fails_leaves_what_was_up_before(session: Session) -> None:
    up.up(session, OPTIONS)
    write(session.cwd, {"environments/t.yaml": FAILING})
    with pytest.raises(ServiceFailed):
        run.run(session, OPTIONS, ["true"])
    assert [record.state for record in session.store.all()] == [InstanceState.FAILED]
    write(session.cwd, {"environments/t.yaml": THREE})
    assert run.run(session, OPTIONS, ["sh", "-c", "exit 7"]) == 7
    assert [record.state for record in session.store.all()] == [InstanceState.UP]
    run_down(session)


def test_what_failed_in_a_run_is_kept_if_it_is_asked_for(session: Session) -> None:
    assert run.run(session, UpOptions("t", engine="local", keep=True), ["sh", "-c", "exit 7"]) == 7
    assert [record.name for record in session.store.all()] == ["t"]
    run_down(session)


# Messages after an interrupt


def interrupts(*words: object, **named: object) -> None:
    raise KeyboardInterrupt


def said(session: Session, options: UpOptions = OPTIONS) -> str:
    with pytest.raises(Interrupted) as caught:
        run.run(session, options, ["true"])
    return caught.value.message


def test_before_anything_was_begun(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "open_selected", interrupts)
    assert said(session) == "interrupted; nothing was started"
    assert not session.store.home.exists()


def test_while_it_comes_up(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "bring_up", interrupts)
    assert said(session) == "interrupted; everything is gone"
    assert session.store.all() == []


def test_while_it_runs(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "run_command", interrupts)
    assert said(session) == "interrupted; everything is gone"
    assert session.store.all() == []


def test_while_it_runs_and_is_to_be_kept(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(run, "run_command", interrupts)
        assert said(session, UpOptions("t", engine="local", keep=True)) == "interrupted; t is kept"
    assert [record.state for record in session.store.all()] == [InstanceState.UP]
    run_down(session)


def test_while_it_runs_and_something_is_left(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(run, "run_command", interrupts)
        patched.setattr("envctl.lifecycle.down.remove_everywhere", lambda *words: ["a process"])
        assert said(session) == "interrupted"
    run_down(session)


def test_what_is_only_half_there_is_not_kept(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interrupt comes after the instance was claimed, and before any code can clean up or keep it."""
    with monkeypatch.context() as patched:
        patched.setattr(up, "Events", interrupts)
        assert said(session, UpOptions("t", engine="local", keep=True)) == "interrupted; everything is gone"
    assert session.store.all() == []


@pytest.mark.parametrize("existed", [False, True], ids=["new", "up before"])
def test_when_all_is_complete(session: Session, monkeypatch: pytest.MonkeyPatch, existed: bool) -> None:
    """The record already says `up` when the interrupt comes."""
    if existed:
        up.up(session, OPTIONS)
    complete = up._complete

    def interrupted(*words: Any) -> None:
        complete(*words)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(up, "_complete", interrupted)
        with pytest.raises(Interrupted) as caught:
            up.up(session, OPTIONS)
    assert caught.value.message == f"interrupted; {'what was up before is still up' if existed else 'everything is gone'}"
    assert [record.name for record in session.store.all()] == (["t"] if existed else [])
    run_down(session)


@pytest.mark.parametrize("where", [(up, "bring_up"), (run, "run_command")], ids=["coming up", "running"])
def test_of_one_that_was_up_before(session: Session, monkeypatch: pytest.MonkeyPatch, where: tuple[Any, str]) -> None:
    up.up(session, OPTIONS)
    with monkeypatch.context() as patched:
        patched.setattr(*where, interrupts)
        assert said(session) == "interrupted; what was up before is still up"
    assert [record.name for record in session.store.all()] == ["t"]
    run_down(session)


def test_what_is_left_is_named(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(up, "bring_up", interrupts)
        patched.setattr("envctl.lifecycle.down.remove_everywhere", lambda *words: ["a process"])
        with pytest.raises(Interrupted) as caught:
            up.up(session, OPTIONS)
        assert caught.value.message == "interrupted"
        assert caught.value.hint == "left behind: a process"
    run_down(session)


def test_nothing_interrupts_the_removal_of_what_was_there_before(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `--fresh`, the record of the old instance says `removing` until it is gone, so that recovery can finish the removal."""
    first = up.up(session, OPTIONS).record
    found: list[tuple[InstanceState, str]] = []

    def asked(*words: Any, **named: Any) -> Any:
        found.extend((record.state, record.process) for record in session.store.all())
        os.kill(os.getpid(), signal.SIGINT)
        return clear(*words, **named)

    with monkeypatch.context() as patched:
        patched.setattr("envctl.lifecycle.claiming.clear", asked)
        second = up.up(session, UpOptions("t", engine="local", fresh=True)).record
    assert found == [(InstanceState.REMOVING, process_mark())]
    assert (second.state, second.secret != first.secret) == (InstanceState.UP, True)
    run_down(session)


# Owners of instances


def test_only_what_was_brought_up_for_it_is_removed(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [session.store.create(record_of(id=f"{n}-123456", name=str(n), owner=owner)) for n, owner in enumerate(["", "elsewhere:1:1"])]
    gone = session.store.create(record_of(id=instance_id("x", session.cwd), owner=ended_mark()))
    assert run.run(session, OPTIONS, ["true"]) == 0
    assert session.store.all() == sorted([*others, gone], key=lambda record: record.id)
    assert process_mark() not in [record.owner for record in session.store.all()]


def test_an_environment_that_was_opened_is_not_opened_again(session: Session, counted: dict[str, int]) -> None:
    opened: Environment = planning.open_selected(session, OPTIONS)
    up.up(session, OPTIONS, environment=opened)
    assert counted["open"] == 1
    run_down(session)


# Relative paths


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change to a folder other than the session's, and check afterwards that nothing was written there."""
    folder = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(folder)
    yield folder
    assert list(folder.iterdir()) == []


REPORTING = UpOptions("t", engine="local", report="out")


@pytest.mark.usefixtures("elsewhere")
def test_a_command_and_its_report_are_in_the_folder_of_the_session(session: Session) -> None:
    assert run.run(session, REPORTING, ["sh", "-c", "pwd > where; exit 7"]) == 7
    assert (session.cwd / "where").read_text().strip() == str(session.cwd)
    assert (session.cwd / "out" / "status.json").exists()


@pytest.mark.usefixtures("elsewhere")
def test_what_a_test_reports_is_collected_in_the_folder_of_the_session(session: Session) -> None:
    tests = 'tests: {one: {run: sh -c "echo > found.xml", reports: [found.xml]}}'
    write(session.cwd, {"environments/t.yaml": f"name: t\nservices: {{a: {{run: sleep 600}}}}\n{tests}\n"})
    assert run.test(session, REPORTING) == 0
    assert (session.cwd / "out" / "tests" / "one" / "found.xml").exists()


@pytest.mark.usefixtures("elsewhere")
def test_the_report_of_a_failed_up_is_in_the_folder_of_the_session(session: Session) -> None:
    write(session.cwd, {"environments/t.yaml": FAILING})
    with pytest.raises(ServiceFailed):
        up.up(session, REPORTING)
    assert (session.cwd / "out" / "status.json").exists()
