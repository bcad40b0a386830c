from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.keeper.keepers import Keeper, alive, pid_in, until

LEAVER = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        {more}
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(1000)
    os._exit(0)
os.wait()
time.sleep({stays})
"""
"""A program whose grandchild leaves its session, process group and parent."""


def leaver(path: Path, stays: float = 1000, more: str = "") -> list[str]:
    return [sys.executable, "-c", LEAVER.format(stays=stays, more=more), str(path)]


def test_a_process_runs_and_ends(one: Keeper) -> None:
    pid = one.started("a", "sh", "-c", "echo out; echo err >&2; read line; sleep 0.2; exit 3")
    assert one.status_of("a") == 3
    assert one.shown("a") == {"pid": pid, "running": False, "status": 3, "since": one.shown("a")["since"]}
    assert one.log_of("a").read_text() == "out\nerr\n"
    assert stat.S_IMODE(one.log_of("a").stat().st_mode) == 0o600


def test_it_gets_exactly_what_it_was_given(one: Keeper, tmp_path: Path) -> None:
    program = """
import json, os, signal, sys
pythons = (signal.SIGPIPE, signal.SIGXFSZ)
print(json.dumps({
    "argv": sys.argv[1:],
    "env": {name: value for name, value in os.environ.items() if name != "LC_CTYPE"},
    "cwd": os.getcwd(),
    "fds": sorted(os.listdir("/proc/self/fd"))[:-1],
    "leader": os.getsid(0) == os.getpid() == os.getpgid(0),
    "mask": [*map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))],
    "ignored": [int(n) for n in signal.valid_signals() if n not in pythons and signal.getsignal(n) == signal.SIG_IGN],
}))
"""
    env = {"A": "1 $HOME 'x'\n\u00fc\udcff", "PATH": "/nowhere"}
    one.started("a", sys.executable, "-I", "-c", program, "$A", "a b", "\u00fc\udcff", env=env, cwd=str(tmp_path))
    assert one.status_of("a") == 0
    found = json.loads(one.log_of("a").read_text())
    assert found.pop("env") == env | {"ENVCTL_MARK": one.mark, "ENVCTL_PROCESS": "a"}
    assert found.pop("fds") == ["0", "1", "2"]
    assert found == {"argv": ["$A", "a b", "\u00fc\udcff"], "cwd": str(tmp_path), "leader": True, "mask": [], "ignored": []}


def test_programs_are_looked_for_in_the_path_they_get(one: Keeper, tmp_path: Path) -> None:
    program = tmp_path / "special"
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    one.started("a", "special", env={"PATH": f"/nothing:{tmp_path}"})
    assert one.status_of("a") == 0
    assert one.log_of("a").read_text() == "found\n"


@pytest.mark.parametrize(
    ("argv", "more", "words"),
    [
        (["no-such-program"], {}, "program no-such-program: no such program"),
        (["/etc/passwd"], {}, "program /etc/passwd: no permission"),
        (["true"], {"cwd": "/no/such"}, "cwd /no/such: no such folder"),
        (["true"], {"log": "/no/such/log"}, "log /no/such/log: No such file or directory"),
        (["tr\0ue"], {}, "embedded null"),
    ],
)
def test_why_it_cannot_start(one: Keeper, argv: list[str], more: dict[str, Any], words: str) -> None:
    status, answer = one.start("a", *argv, **more)
    assert status == 422
    assert words in answer["error"]
    assert one.ask("GET", "/v1/processes") == (200, {})
    assert one.end("a")[0] == 404


def test_one_of_a_name_at_a_time(one: Keeper) -> None:
    one.started("a", "sleep", "100")
    assert one.start("a", "sleep", "100")[0] == 409
    assert one.end("a") == (200, {"status": 137})
    assert one.end("a") == (200, {"status": 137})
    one.started("a", "true")
    assert one.status_of("a") == 0


def test_one_of_a_name_even_when_asked_for_at_once(one: Keeper) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(one.start("a", "sleep", "100")[0])) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(found) == [201, 409, 409, 409, 409]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_it_runs_as_another_user(one: Keeper) -> None:
    one.started("a", "sh", "-c", "id -u; id -g; id -G; echo own > /dev/stderr; sleep 100 & wait", user=65534)
    until(lambda: one.log_of("a").read_text() == "65534\n65534\n65534\nown\n")
    pid = one.shown("a")["pid"]
    os.kill(one.supervisor(), signal.SIGKILL)
    until(lambda: not alive(pid))
    assert one.status_of("a") == 137


def test_a_polite_end(one: Keeper) -> None:
    one.started("a", "sh", "-c", "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    one.started("b", "sh", "-c", "trap 'echo bye; exit 8' USR1; echo ready; while :; do sleep 0.05; done", stop_signal="SIGUSR1")
    until(lambda: one.log_of("a").read_text() == one.log_of("b").read_text() == "ready\n")
    assert one.end("a", 10) == (200, {"status": 7})
    assert one.end("b", 10) == (200, {"status": 8})
    assert one.log_of("a").read_text().endswith("\nbye\n")


def test_who_does_not_listen_is_killed(one: Keeper) -> None:
    pid = one.started("a", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    until(lambda: one.log_of("a").read_text() == "ready\n")
    assert one.end("a", 0.2) == (200, {"status": 137})
    assert not alive(pid)


def test_a_halted_process_ends_politely(one: Keeper) -> None:
    pid = one.started("a", "sleep", "100")
    os.kill(pid, signal.SIGSTOP)
    assert one.end("a", 10) == (200, {"status": 143})


def test_ends_are_waited_for_at_once(one: Keeper) -> None:
    """Each process ends only after the other one has received its signal."""
    first, second = one.folder / "first", one.folder / "second"
    script = "trap 'touch {0}; while [ ! -e {1} ]; do sleep 0.02; done; exit 5' TERM; echo ready; while :; do sleep 0.02; done"
    one.started("a", "sh", "-c", script.format(first, second))
    one.started("b", "sh", "-c", script.format(second, first))
    until(lambda: one.log_of("a").read_text() == one.log_of("b").read_text() == "ready\n")
    found: list[Any] = []
    threads = [threading.Thread(target=lambda name=name: found.append(one.end(name, 15))) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [(200, {"status": 5})] * 2


@pytest.mark.parametrize("grace", [0, 5])
def test_nothing_of_its_tree_is_left(one: Keeper, tmp_path: Path, grace: float) -> None:
    one.started("other", *leaver(tmp_path / "other"))
    pid = one.started("a", *leaver(tmp_path / "left"))
    left, other = pid_in(tmp_path / "left"), pid_in(tmp_path / "other")
    assert os.getsid(left) != pid
    assert one.end("a", grace)[0] == 200
    assert not alive(left)
    assert alive(other)
    assert one.shown("other")["running"]


def test_a_daemon_without_its_variables_goes_with_the_last(one: Keeper, tmp_path: Path) -> None:
    more = 'os.environ.clear(); os.execv("/bin/sh", ["sh", "-c", "echo $$ > " + sys.argv[1] + "; exec sleep 1000"])'
    one.started("a", *leaver(tmp_path / "left", more=more))
    left = pid_in(tmp_path / "left")
    one.end("a")
    assert not alive(left)


def test_what_it_leaves_behind_keeps_no_port(one: Keeper, tmp_path: Path) -> None:
    listener = "import socket; s = socket.create_server(('127.0.0.1', 0)); open(sys.argv[1] + '.port', 'w').write(str(s.getsockname()[1]))"
    with one.exit_events() as death:
        one.started("a", *leaver(tmp_path / "left", stays=0.5, more=listener))
        left = pid_in(tmp_path / "left")
        assert death() == {"name": "a", "status": 0}
        assert not alive(left)
    with socket.socket() as stream:
        stream.bind(("127.0.0.1", int((tmp_path / "left.port").read_text())))


def test_children_in_its_group_go_with_it(one: Keeper, tmp_path: Path) -> None:
    one.started("a", "sh", "-c", f"sleep 1000 & echo $! > {tmp_path}/child; exit 4")
    assert one.status_of("a") == 4
    assert not alive(pid_in(tmp_path / "child"))


def test_those_that_fork_meanwhile_go_too(one: Keeper) -> None:
    program = (
        "import os, time\nwhile True:\n    if os.fork() == 0:\n        os.setsid(); time.sleep(0.3); os._exit(0)\n    time.sleep(0.01)"
    )
    one.started("a", sys.executable, "-c", program)
    until(lambda: len(marked_of(one)) > 5)
    one.end("a")
    assert marked_of(one) == []


def marked_of(one: Keeper) -> list[int]:
    from envctl.keeper import process_marks

    return sorted(process_marks.marked(one.mark))


def test_zombies_are_reaped(one: Keeper) -> None:
    one.started("a", "sh", "-c", "for i in 1 2 3 4 5; do (sleep 0.1 & ) ; done; echo ready; sleep 1000")
    until(lambda: one.log_of("a").read_text() == "ready\n")
    supervisor, main = one.supervisor(), one.shown("a")["pid"]
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children")
    until(lambda: children.read_text().split() == [str(main)])


def test_deaths_are_told_as_they_happen(one: Keeper) -> None:
    with one.exit_events() as first, one.exit_events() as second:
        one.started("a", "sh", "-c", "exit 3")
        assert first() == second() == {"name": "a", "status": 3}
        one.started("b", "sh", "-c", "kill -9 $$")
        assert first() == second() == {"name": "b", "status": 137}
        one.started("c", "sleep", "100")
        one.end("c", 10)
        assert first() == {"name": "c", "status": 143}
    one.started("d", "true")  # after the last listener has closed its connection
    assert one.status_of("d") == 0


def test_all_output_is_there_before_the_end_is_told(one: Keeper) -> None:
    with one.exit_events() as death:
        one.started("a", sys.executable, "-c", "import os\nfor n in range(20000): print(n)")
        assert death() == {"name": "a", "status": 0}
        assert one.log_of("a").read_text().split() == [str(number) for number in range(20000)]


def test_what_the_dead_left_in_the_pipe_is_read(one: Keeper, tmp_path: Path) -> None:
    program = """
import fcntl, os, sys, time
fcntl.fcntl(1, 1031, 1 << 20)  # F_SETPIPE_SZ
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
os.write(1, b"x" * 900_000)
"""
    pid = one.started("a", sys.executable, "-c", program, str(tmp_path / "go"))
    supervisor = one.supervisor()
    os.kill(supervisor, signal.SIGSTOP)  # makes the supervisor see the output and the exit at the same time
    (tmp_path / "go").touch()
    until(lambda: not alive(pid))
    os.kill(supervisor, signal.SIGCONT)
    assert one.status_of("a") == 0
    assert one.log_of("a").stat().st_size == 900_000


def test_logs_are_of_limited_size_and_memory_too(one: Keeper) -> None:
    from tests.keeper.keepers import memory_kb

    size = 35 * 1024 * 1024
    one.started("a", sys.executable, "-c", f"import os\nb = b'x' * 65535 + b'\\n'\nfor _ in range({size} // len(b)): os.write(1, b)")
    assert one.status_of("a") == 0
    parts = [one.log_of("a"), one.log_of("a").with_name("a.log.1")]
    assert all(0 < part.stat().st_size <= 10 * 1024 * 1024 for part in parts)
    assert parts[1].stat().st_size > 9 * 1024 * 1024
    assert {stat.S_IMODE(part.stat().st_mode) for part in parts} == {0o600}
    one.started("b", "sleep", "100")
    assert memory_kb(one.supervisor()) < 30_000


def test_a_process_that_closes_its_output_runs_on(one: Keeper) -> None:
    one.started("a", "sh", "-c", "echo ready; exec >&- 2>&-; sleep 0.5; exit 6")
    assert one.status_of("a") == 6
    assert one.log_of("a").read_text() == "ready\n"


def test_a_limit_of_memory_is_enforced_or_said_not_to_be(one: Keeper) -> None:
    limits = {"memory_bytes": 256 * 1024 * 1024, "cpu": 0.5}
    status, answer = one.start("a", sys.executable, "-c", "b = bytearray(512 * 1024 * 1024); print('had it')", limits=limits)
    assert status == 201
    assert answer["enforced"]["memory_bytes"] in ("rlimit", "cgroup")
    assert one.status_of("a") != 0
    assert "had it" not in one.log_of("a").read_text()


def test_many_processes_at_once(one: Keeper) -> None:
    names = [f"p{number}" for number in range(12)]
    found: list[int] = []
    threads = [threading.Thread(target=lambda name=name: found.append(one.start(name, "sleep", "100")[0])) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [201] * len(names)
    assert one.ask("POST", "/v1/stop", {}) == (200, {})
    assert marked_of(one) == []
