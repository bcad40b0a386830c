from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from envctl.keeper import process_marks
from tests.keeper.keepers import Keeper, alive, keeper, orphans, owner, pid_in, stat, until
from tests.keeper.test_keeper_processes import leaver, marked_of


def stamp(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def teardown(path: Path, then: str = "") -> list[str]:
    return ["sh", "-c", f'echo "$WHO $(pwd)" >> {path}; {then}']


def ended(one: Keeper) -> int:
    return one.process.wait(10)


def started_tree(one: Keeper, tmp_path: Path) -> list[int]:
    """Start a process with a detached daemon; return the process ids of both."""
    path = tmp_path / f"tree{time.monotonic_ns()}"
    main = one.started("tree", *leaver(path))
    return [main, pid_in(path)]


def test_stop_leaves_nothing(tmp_path: Path) -> None:
    with keeper(tmp_path / "state", teardown=teardown(tmp_path / "torn")) as one:
        pids = started_tree(one, tmp_path)
        one.started("polite", "sh", "-c", "trap 'sleep 0.3; echo bye; exit' TERM; echo ready; while :; do sleep 0.02; done")
        until(lambda: one.log_of("polite").read_text() == "ready\n")
        supervisor = one.supervisor()
        assert one.ask("POST", "/v1/stop", {"grace": {"polite": 10}}) == (200, {})
        assert not one.address_file.exists()
        assert not any(map(alive, pids))
        assert ended(one) == 0
        assert not alive(supervisor)
        assert one.log_of("polite").read_text().endswith("\nbye\n")
        assert not (tmp_path / "torn").exists()


def test_stop_does_not_need_who_asked_for_it(one: Keeper) -> None:
    pid = one.started("a", "sleep", "100")
    connection = one.connect()
    connection.request("POST", "/v1/stop", b"{}", {"Authorization": f"Bearer {one.token}"})
    connection.close()
    assert ended(one) == 0
    assert not alive(pid)


def test_a_halted_supervisor_does_not_keep_the_keeper(one: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    from envctl.keeper import processes, system
    from envctl.keeper.helpers import Helpers

    monkeypatch.setattr(processes, "PATIENCE", 0.3)
    mine = processes.Processes(one.mark, processes.ExitEvents(), Helpers(print))
    request = {"argv": ["sleep", "100"], "env": dict(os.environ), "cwd": "/", "log": str(one.log_of("a")), "user": None}
    pid = mine.start("a", request | {"limits": {}, "stop_signal": signal.SIGTERM})["pid"]
    monkeypatch.setattr(system, "kill_adopted", lambda *_: None)  # it would kill pytest's own children in this process
    os.kill(int(stat(pid)[1]), signal.SIGSTOP)
    mine.stop_all({})
    until(lambda: not alive(pid))
    assert mine.shown()["a"]["status"] == 137


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_without_a_teardown(tmp_path: Path, number: signal.Signals) -> None:
    with keeper(tmp_path / "state", teardown=teardown(tmp_path / "torn")) as one:
        pids = started_tree(one, tmp_path)
        one.process.send_signal(number)
        assert ended(one) == 0
        assert not any(map(alive, pids))
        assert not one.address_file.exists()
        assert not (tmp_path / "torn").exists()


def test_a_hangup_is_ignored(one: Keeper) -> None:
    one.process.send_signal(signal.SIGHUP)
    assert one.ask("GET", "/v1/keeper")[0] == 200
    assert one.process.poll() is None


def test_the_owners_end_tears_down(tmp_path: Path) -> None:
    with (
        owner() as (ours, theirs),
        keeper(tmp_path / "state", owner_fd=theirs, teardown=teardown(tmp_path / "torn"), teardown_env={"WHO": "me"}) as one,
    ):
        assert one.ask("GET", "/v1/keeper")[1]["owned"] is True
        pids = started_tree(one, tmp_path)
        ours.close()
        assert ended(one) == 0
        assert not any(map(alive, pids))
        assert not one.address_file.exists()
        assert (tmp_path / "torn").read_text() == "me /\n"


@pytest.mark.parametrize("way", ["request", "word", "word and end"])
def test_a_released_keeper_outlives_its_owner(tmp_path: Path, way: str) -> None:
    with owner() as (ours, theirs), keeper(tmp_path / "state", owner_fd=theirs, teardown=teardown(tmp_path / "torn")) as one:
        pids = started_tree(one, tmp_path)
        if way == "request":
            assert one.ask("POST", "/v1/release") == (200, {})
        else:
            ours.sendall(b"release\n")
        if way != "word and end":
            until(lambda: one.ask("GET", "/v1/keeper")[1]["owned"] is False)
        ours.close()
        until(lambda: one.ask("GET", "/v1/keeper")[1]["owned"] is False)
        assert all(map(alive, pids))
        assert not (tmp_path / "torn").exists()


def socket_of(pid: int, descriptor: int) -> str:
    found = os.readlink(f"/proc/{pid}/fd/{descriptor}")
    assert found.startswith("socket:")
    return found


def test_nobody_below_holds_the_owners_socket(tmp_path: Path) -> None:
    with owner() as (_, theirs), keeper(tmp_path / "state", owner_fd=theirs) as one:
        pid = one.started("a", "sleep", "100")
        kept = socket_of(one.pid, theirs)
        descriptors = {each: [os.readlink(path) for path in Path(f"/proc/{each}/fd").iterdir()] for each in (one.supervisor(), pid)}
        assert [kept in found for found in descriptors.values()] == [False, False]


def test_an_expired_one_tears_down(tmp_path: Path) -> None:
    with keeper(tmp_path / "state", expires=stamp(2), teardown=teardown(tmp_path / "torn"), teardown_env={"WHO": "x"}) as one:
        pids = started_tree(one, tmp_path)
        assert ended(one) == 0
        assert not any(map(alive, pids))
        assert (tmp_path / "torn").read_text() == "x /\n"


SLOW = "trap 'sleep 0.3; echo bye; exit' TERM; echo ready; while :; do sleep 0.02; done"


@pytest.mark.parametrize(
    ("told", "last"), [('{"stop": {"polite": 10.0}}', "bye"), ('{"stop": {}}', "ready"), ('{"stop": 3}', "ready"), ("", "ready")]
)
def test_expiry_gives_services_the_time_that_the_definition_gives_them(tmp_path: Path, told: str, last: str) -> None:
    with keeper(tmp_path / "state", teardown=teardown(tmp_path / "torn")) as one:
        (one.folder / "instance.json").write_text(told)
        one.started("polite", "sh", "-c", SLOW)
        until(lambda: one.log_of("polite").read_text() == "ready\n")
        one.ask("POST", "/v1/expires", {"expires": stamp(-1)})
        assert ended(one) == 0
        assert one.log_of("polite").read_text().splitlines()[-1] == last
        assert (tmp_path / "torn").exists()


def test_the_owners_end_hurries(tmp_path: Path) -> None:
    with owner() as (ours, theirs), keeper(tmp_path / "state", owner_fd=theirs) as one:
        (one.folder / "instance.json").write_text('{"stop": {"polite": 10.0}}')
        one.started("polite", "sh", "-c", SLOW)
        until(lambda: one.log_of("polite").read_text() == "ready\n")
        ours.close()
        assert ended(one) == 0
        assert one.log_of("polite").read_text() == "ready\n"


def test_expiry_can_be_put_off_and_called_off_and_brought_on(tmp_path: Path) -> None:
    with keeper(tmp_path / "state", expires=stamp(3), teardown=teardown(tmp_path / "torn")) as one:
        first = time.time() + 3
        later = stamp(3600)
        assert one.ask("POST", "/v1/expires", {"expires": later}) == (200, {"expires": later})
        assert one.ask("GET", "/v1/keeper")[1]["expires"] == later
        until(lambda: time.time() > first + 0.5)
        assert one.process.poll() is None
        assert one.ask("POST", "/v1/expires", {"expires": None}) == (200, {"expires": None})
        assert one.ask("POST", "/v1/expires", {"expires": stamp(-1)})[0] == 200
        assert ended(one) == 0
        assert (tmp_path / "torn").exists()


def test_a_teardown_is_tried_again(tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    with keeper(tmp_path / "state", expires=stamp(-1), teardown=teardown(torn, f"[ $(wc -l < {torn}) -ge 2 ]")) as one:
        assert ended(one) == 0
        assert len(torn.read_text().splitlines()) == 2
        assert "exit status 1" in one.words()


def test_while_tearing_down_only_the_keeper_is_shown(tmp_path: Path) -> None:
    go = tmp_path / "go"
    with keeper(tmp_path / "state", teardown=teardown(tmp_path / "torn", f"while [ ! -e {go} ]; do sleep 0.02; done")) as one:
        one.ask("POST", "/v1/expires", {"expires": stamp(-1)})
        until((tmp_path / "torn").exists)
        assert not one.address_file.exists()
        assert one.ask("GET", "/v1/keeper")[0] == 200
        assert one.start("a", "true")[0] == 503
        assert one.ask("POST", "/v1/stop", {})[0] == 503
        assert one.ask("GET", "/v1/processes")[0] == 503
        go.touch()
        assert ended(one) == 0


def test_a_teardown_can_be_interrupted(tmp_path: Path) -> None:
    with keeper(tmp_path / "state", expires=stamp(-1), teardown=["false"]) as one:
        until(lambda: "exit status 1" in one.words())
        one.process.send_signal(signal.SIGTERM)
        assert ended(one) == 0


def test_without_its_folder_it_tears_down_and_goes(tmp_path: Path) -> None:
    """The teardown removes the rest of an instance whose folder was deleted by hand."""
    with keeper(tmp_path / "state", teardown=teardown(tmp_path / "torn")) as one:
        pid = one.started("a", "sleep", "100")
        shutil.rmtree(one.folder)
        os.kill(one.pid, signal.SIGCHLD)
        assert ended(one) == 0
        assert not alive(pid)
        assert (tmp_path / "torn").exists()


def test_a_killed_keeper_takes_all_with_it(one: Keeper, tmp_path: Path) -> None:
    pids = started_tree(one, tmp_path)
    supervisor = one.supervisor()
    one.kill()
    until(lambda: not any(map(alive, [*pids, supervisor])))
    assert marked_of(one) == []


def test_a_killed_keeper_takes_those_that_fork_with_it(one: Keeper) -> None:
    program = (
        "import os, time\nwhile True:\n    if os.fork() == 0:\n        os.setsid(); time.sleep(0.5); os._exit(0)\n    time.sleep(0.01)"
    )
    one.started("a", sys.executable, "-c", program)
    until(lambda: len(marked_of(one)) > 5)
    supervisor = one.supervisor()
    one.kill()
    until(lambda: not alive(supervisor))
    assert marked_of(one) == []


def test_a_killed_supervisor_loses_nobody(one: Keeper, tmp_path: Path) -> None:
    pids = started_tree(one, tmp_path)
    first = one.supervisor()
    with one.exit_events() as death:
        os.kill(first, signal.SIGKILL)
        assert death() == {"name": "tree", "status": 137}
        assert not any(map(alive, pids))
    assert one.shown("tree")["status"] == 137
    assert one.end("tree") == (200, {"status": 137})
    again = started_tree(one, tmp_path)
    assert one.supervisor() != first
    assert all(map(alive, again))
    children = Path(f"/proc/{one.pid}/task/{one.pid}/children").read_text().split()
    assert [stat(int(pid))[0] for pid in children].count("Z") == 0


def test_an_end_that_is_waited_for_comes_with_the_supervisors(one: Keeper) -> None:
    import threading

    one.started("a", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    until(lambda: one.log_of("a").read_text() == "ready\n")
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(one.end("a", 60)))
    thread.start()
    time.sleep(0.2)
    os.kill(one.supervisor(), signal.SIGKILL)
    thread.join(10)
    assert found == [(200, {"status": 137})]


def test_both_killed_at_once_leave_only_what_the_mark_finds(one: Keeper, tmp_path: Path) -> None:
    pids = started_tree(one, tmp_path)
    supervisor = one.supervisor()
    assert orphans(one.mark) == []
    assert set(pids) <= set(process_marks.marked(one.mark))
    os.kill(one.pid, signal.SIGSTOP)  # a stopped keeper does not see that the supervisor ends
    os.kill(supervisor, signal.SIGKILL)
    one.kill()
    until(lambda: not alive(pids[0]))
    assert orphans(one.mark[:-1]) == [pids[1]]
    assert process_marks.kill_marked(one.mark[:-1]) == []
    assert process_marks.kill_marked(one.mark) == [pids[1]]
    assert not alive(pids[1])
    assert process_marks.marked(one.mark) == {}


def test_a_later_keepers_address_stays(one: Keeper) -> None:
    one.address_file.write_text('{"port": 1, "token": "", "pid": 1}')
    one.process.send_signal(signal.SIGTERM)
    assert ended(one) == 0
    assert one.address_file.exists()


def test_a_config_that_cannot_be_used_is_said_so(tmp_path: Path) -> None:
    with keeper(tmp_path / "state", nonsense=1) as one:
        assert ended(one) == 1
        assert "nonsense" in one.words()
