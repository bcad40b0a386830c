"""Tests of a pod's exec agent as two local processes, the listener (`ears`) and the executor (`agent`): requests, and recovery."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from envctl.files.package_data import templates
from envctl.render.kubernetes.exec_agent import LOOP

TOKEN = "open-sesame"
SHELLS = {
    "dash": ["dash"],
    "bash": ["bash", "--posix"],
    "busybox": ["busybox", "sh"],
    "sh": ["sh"],
}
Asked = tuple[int, bytes]


class Pod:
    """The two processes of an exec agent in one folder; the tests can kill and restart each of them."""

    def __init__(self, folder: Path, shell: list[str]) -> None:
        self.folder, self.shell = folder, shell
        self.port = 0
        self.ears = self.start_ears()
        self.agent = self.start_agent()

    def start_ears(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-I", "-S", str(templates("kubernetes", "exec_agent.py")), str(self.folder), "0"]
        started = subprocess.Popen(command, env={"ENVCTL_HANDS_TOKEN": TOKEN}, stdout=subprocess.PIPE, text=True)
        assert started.stdout is not None
        self.port = int(started.stdout.readline().split()[-1])
        return started

    def start_agent(self) -> subprocess.Popen[bytes]:
        env = {"PATH": os.environ["PATH"], "OF_THE_SERVER": "1"}
        return subprocess.Popen([*self.shell, "-c", LOOP, str(self.folder)], env=env, start_new_session=True)

    def stop(self) -> None:
        for process in (self.agent, self.ears):
            if process.poll() is None:
                process.kill()
            process.wait()
        if self.ears.stdout is not None:
            self.ears.stdout.close()

    def ask(self, argv: list[str], frames: list[bytes] = [], env: Mapping[str, str] = {}, token: str = TOKEN) -> Asked:  # noqa: B006
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            self.send(connection, argv, frames, env, token)
            return heard(connection)

    def send(self, connection: socket.socket, argv: list[str], frames: list[bytes], env: Mapping[str, str], token: str) -> None:
        connection.sendall(json.dumps({"token": token, "argv": argv, "env": env}).encode() + b"\n")
        for frame in frames:
            connection.sendall(b"%d\n" % len(frame) + frame)
        connection.sendall(b"0\n")


def heard(connection: socket.socket) -> Asked:
    with connection.makefile("rb") as stream:
        head: dict[str, Any] = json.loads(stream.readline())
        content = stream.read()
    assert len(content) == head["size"]
    return head["status"], content


def until(holds: Callable[[], bool]) -> None:
    for _ in range(500):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come to pass")


def ended(pid: int) -> bool:
    try:
        return b") Z " in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True


@pytest.fixture(params=[name for name, command in SHELLS.items() if shutil.which(command[0])])
def pod(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pod]:
    made = Pod(tmp_path, SHELLS[request.param])
    yield made
    made.stop()


def test_output_and_status(pod: Pod) -> None:
    assert pod.ask(["sh", "-c", "echo out; echo err >&2; exit 7"]) == (7, b"out\nerr\n")
    assert pod.ask(["no such program"])[0] == 127


def test_input_arrives_whole(pod: Pod) -> None:
    content = [bytes(range(256)) * 4096, b"\n", b"x"]
    assert pod.ask(["cat"], content) == (0, b"".join(content))


def test_a_command_need_not_read_its_input(pod: Pod) -> None:
    assert pod.ask(["true"], [b"x" * 1_000_000]) == (0, b"")


def test_arguments_and_variables_are_exact(pod: Pod) -> None:
    nasty = "a $b `c` 'd' \"e\" \\ \n\t*  ü \u2028 $(id)"
    program = "import sys, os; sys.stdout.buffer.write(os.fsencode('|'.join([*sys.argv[1:], os.environ['A'], os.environ['B-C.d']])))"
    status, output = pod.ask([sys.executable, "-c", program, nasty, "", "--"], env={"A": nasty, "B-C.d": nasty})
    assert (status, output.decode()) == (0, "|".join([nasty, "", "--", nasty, nasty]))


def test_the_variables_of_the_server_are_there(pod: Pod) -> None:
    assert pod.ask(["sh", "-c", "echo $OF_THE_SERVER"]) == (0, b"1\n")


def test_a_wrong_token_runs_nothing(pod: Pod, tmp_path: Path) -> None:
    assert pod.ask(["touch", str(tmp_path / "made")], token="guess") == (126, b"the token is wrong\n")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("line", [b"\n", b"nonsense\n", b"{}\n", b'{"token": "open-sesame"}\n0\n', b"[]\n"])
def test_what_is_no_request_is_said(pod: Pod, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", pod.port)) as connection:
        connection.sendall(line)
        status, words = heard(connection)
    assert status == 126
    assert words.startswith(b"this is not a request: ")


def test_many_one_after_the_other_and_nothing_stays(pod: Pod) -> None:
    for number in range(60):
        assert pod.ask(["echo", str(number)]) == (0, b"%d\n" % number)
    until(lambda: sorted(path.name for path in pod.folder.iterdir()) == ["done", "todo"])


def test_several_at_once(pod: Pod) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(pod.ask, ["cat"], [b"%d" % number]) for number in range(40)]
        assert [each.result() for each in asked] == [(0, b"%d" % number) for number in range(40)]


def test_one_that_hangs_is_in_nobody_s_way_and_goes_with_its_client(pod: Pod, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with socket.create_connection(("127.0.0.1", pod.port)) as connection:
        pod.send(connection, ["sh", "-c", f"echo $$ > {mark}; exec sleep 60"], [], {}, TOKEN)
        until(lambda: mark.is_file() and mark.read_text().endswith("\n"))
        assert pod.ask(["echo", "still here"]) == (0, b"still here\n")
    until(lambda: ended(int(mark.read_text())))


def test_a_client_that_goes_amid_its_input_leaves_nothing(pod: Pod) -> None:
    with socket.create_connection(("127.0.0.1", pod.port)) as connection:
        connection.sendall(json.dumps({"token": TOKEN, "argv": ["cat"]}).encode() + b"\n100\nonly this")
    until(lambda: sorted(path.name for path in pod.folder.iterdir()) == ["done", "todo"])
    assert pod.ask(["true"]) == (0, b"")


def test_hands_that_are_started_anew(pod: Pod, tmp_path: Path) -> None:
    mark = tmp_path / "started"
    with socket.create_connection(("127.0.0.1", pod.port)) as connection:
        pod.send(connection, ["sh", "-c", f"touch {mark}; exec sleep 60"], [], {}, TOKEN)
        until(mark.is_file)
        os.killpg(pod.agent.pid, signal.SIGKILL)
        pod.agent.wait()
        pod.agent = pod.start_agent()
        assert heard(connection)[0] == 255
    assert pod.ask(["echo", "again"]) == (0, b"again\n")


def test_ears_that_are_started_anew(pod: Pod) -> None:
    assert pod.ask(["true"]) == (0, b"")
    pod.ears.kill()
    pod.ears.communicate()
    pod.ears = pod.start_ears()
    assert pod.ask(["echo", "again"]) == (0, b"again\n")
