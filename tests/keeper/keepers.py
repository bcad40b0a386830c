"""Start, request and kill keepers in tests, and find their living processes."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import envctl.keeper
from envctl.keeper import process_marks, system
from envctl.keeper_client.connection import Connection

PROGRAM = str(Path(envctl.keeper.__file__).parent)
Found = Any


def until(condition: Callable[[], Found], seconds: float = 10.0) -> Found:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)
    return found


def stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def alive(pid: int) -> bool:
    """Return whether the process is alive; a zombie counts as ended, because process 1 of a container may not reap it."""
    return bool(found := stat(pid)) and found[0] not in "ZX"


def memory_kb(pid: int) -> int:
    return next(int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))


def cpu_ticks(pid: int) -> int:
    return sum(map(int, stat(pid)[11:13]))


def pid_in(path: Path) -> int:
    """Wait until a process has written its number to *path*; return the number."""
    return int(until(lambda: path.exists() and path.read_text().strip()))


class Keeper:
    """A running keeper and its client. An `owner_fd` in *settings* is closed in this process once the keeper has it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, self.token, self.tests_token = folder, "s3cret-" + uuid.uuid4().hex, "t3sts-" + uuid.uuid4().hex
        self.address_file, self.log = folder / "keeper.json", folder.parent / f"{folder.name}.keeper.log"
        self.mark = f"test:{uuid.uuid4().hex}"
        self._port = 0
        folder.mkdir(mode=0o700, exist_ok=True)
        self.config = {
            "id": "shop-0a1b2c", "folder": str(folder), "address_file": str(self.address_file), "expires": None,
            "tokens": {self.token: ["control", "tests"], self.tests_token: ["tests"]},
            "owner_fd": None, "teardown": [], "teardown_env": {}, "mark": self.mark,
        } | settings  # fmt: skip
        path = folder / "keeper-config.json"
        path.write_text(json.dumps(self.config))
        path.chmod(0o600)
        owner = self.config["owner_fd"]
        passed = [owner] if owner is not None else []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", PROGRAM, str(path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, pass_fds=passed,
            )  # fmt: skip

        if owner is not None:
            os.close(owner)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def port(self) -> int:
        self._port = self._port or int(json.loads(self.address_file.read_text())["port"])
        return self._port

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection as commands of envctl make it."""
        return Connection(self.port, self.folder, 20)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = self.connect()
        try:
            data = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Authorization": f"Bearer {self.token}"} | headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def start(self, name: str, *argv: str, **more: Any) -> tuple[int, Any]:
        body = {"name": name, "argv": argv, "env": dict(os.environ), "cwd": "/", "log": str(self.log_of(name))} | more
        return self.ask("POST", "/v1/processes", body)

    def started(self, name: str, *argv: str, **more: Any) -> int:
        status, answer = self.start(name, *argv, **more)
        assert status == 201, answer
        return int(answer["pid"])

    def log_of(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def end(self, name: str, grace: float = 0) -> tuple[int, Any]:
        return self.ask("DELETE", f"/v1/processes/{name}?grace={grace}")

    def shown(self, name: str) -> dict[str, Any]:
        status, answer = self.ask("GET", "/v1/processes")
        assert status == 200
        return dict(answer[name])

    def status_of(self, name: str) -> int:
        return int(until(lambda: not (shown := self.shown(name))["running"] and [shown["status"]])[0])

    @contextmanager
    def exit_events(self) -> Iterator[Callable[[], dict[str, Any]]]:
        connection = self.connect()
        try:
            connection.request("GET", "/v1/exit-events", headers={"Authorization": f"Bearer {self.token}"})
            answer = connection.getresponse()
            assert answer.status == 200
            yield lambda: json.loads(answer.readline())
        finally:
            connection.close()

    def supervisor(self) -> int:
        """Return the process id of the keeper's supervisor; at least one process must have been started before."""
        found = [int(name) for name in os.listdir("/proc") if name.isdecimal() and stat(int(name))[1:2] == [str(self.pid)]]
        return next(pid for pid in found if alive(pid) and b"--supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def words(self) -> str:
        return self.log.read_text()


@contextmanager
def keeper(folder: Path, **settings: Any) -> Iterator[Keeper]:
    running = Keeper(folder, **settings)
    try:
        until(lambda: ", port " in running.words() or running.process.poll() is not None)
        yield running
    finally:
        running.process.send_signal(signal.SIGTERM)
        try:
            running.process.wait(10)
        finally:
            running.kill()
            process_marks.kill_marked(running.mark)
            print(running.words())


@contextmanager
def owner() -> Iterator[tuple[socket.socket, int]]:
    """Yield the two ends of an owner's socket: the test's end, and the file descriptor for the keeper, which closes its end here."""
    ours, theirs = socket.socketpair()
    with ours:
        yield ours, theirs.detach()


def orphans(prefix: str) -> list[int]:
    """Return the marked processes that have no living supervisor among their ancestors."""
    found, table = process_marks.marked(prefix), system.processes()
    supervisors = process_marks.marked("", process_marks.SUPERVISOR).keys()
    return sorted(pid for pid in found if not system.ancestors(pid, table) & supervisors)
