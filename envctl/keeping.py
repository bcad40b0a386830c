"""The keeper of an instance as a command sees it: started before anything else, asked over HTTP, told to let go.

The keeper itself is `envctl/keeper`, a program of its own. It watches the other end of a socket that its owner holds: when
that ends without a word, it tears the instance down.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from envctl import instance
from envctl.errors import EnvctlError
from envctl.instance import Record
from envctl.keeper.system import start_time

ADDRESS, CONFIG, LOG = "keeper.json", "keeper-config.json", "keeper.log"
PROGRAM = Path(__file__).resolve().parent / "keeper"
BY_KEEPER = "ENVCTL_KEEPER"
"""Set for the command that a keeper runs: nobody is left who would wait for a gentle end."""
ABOUT = "ENVCTL_ABOUT"
"""In the environment of keepers: the instance's labels, and its engine."""
MARK = "ENVCTL_MARK"
"""In the environment of all that belongs to an instance: its id."""
LABELS = ("envctl.name", "envctl.instance", "envctl.project", "envctl.owner", "envctl.environment", "envctl.engine")
START_TIMEOUT, SUPERVISOR_TIMEOUT = 15.0, 10.0
QUICK = 3.0
"""Seconds within which a keeper says something; one that does not is halted, or stuck."""

_held: dict[str, socket.socket] = {}
"""Our ends of the sockets by which keepers watch us."""
_children: list[subprocess.Popen[bytes]] = []
"""Keepers that we have started: nobody waits for them, and Python must not complain."""
_silent: set[Keeper] = set()
"""Those that have not answered: they are waited for once, and not at every question."""


class KeeperGone(EnvctlError):
    """The keeper of an instance does not answer."""


class KeeperSilent(KeeperGone):
    """It runs, and says nothing."""


@dataclass(frozen=True)
class Keeper:
    """Where one answers."""

    port: int
    token: str
    pid: int
    start: str = ""
    """When the process began, by which a later one of that number is told from it; empty where the keeper has not said."""

    @property
    def runs(self) -> bool:
        found = start_time(self.pid)
        return bool(found) and self.start in ("", found)

    def kill(self) -> None:
        """For one that is silent; whoever cannot be told from another process is left alone."""
        if self.start and self.runs:
            with suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)

    def ask(self, method: str, path: str, body: Any = None, timeout: float | None = 60.0) -> tuple[int, Any]:
        """Status and JSON of the answer.

        Args:
            timeout: for this request; whether there is anybody who answers shows earlier.

        Raises:
            KeeperGone: nobody answers.
        """
        if self in _silent:
            raise KeeperSilent("the keeper does not answer")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=QUICK)
        try:
            if timeout is None or timeout > QUICK:
                self._request(connection, "GET", "/v1/keeper", None).read()
                _give(connection, timeout)
            answer = self._request(connection, method, path, body)
            content = json.loads(answer.read() or b"null")
        except TimeoutError:
            _silent.add(self)
            raise KeeperSilent("the keeper does not answer") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _gone(error) from None
        finally:
            connection.close()
        if answer.status == 503:
            raise KeeperGone("the instance is being removed: it has expired, or lost its owner")
        return answer.status, content

    def _request(self, connection: http.client.HTTPConnection, method: str, path: str, body: Any) -> http.client.HTTPResponse:
        content = None if body is None else json.dumps(body).encode()
        connection.request(method, path, content, {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        return connection.getresponse()

    def stream(self, path: str) -> tuple[socket.socket, http.client.HTTPResponse]:
        """An answer that goes on as long as somebody reads, and the socket that ends it when it is shut down.

        Raises:
            KeeperGone: nobody answers.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=QUICK)
        try:
            connection.connect()
            sock = connection.sock
            answer = self._request(connection, "GET", path, None)
        except (OSError, http.client.HTTPException) as error:
            raise _gone(error) from None
        sock.settimeout(None)
        return sock, answer


def _give(connection: http.client.HTTPConnection, timeout: float | None) -> None:
    connection.timeout = timeout
    if connection.sock is not None:
        connection.sock.settimeout(timeout)


def _gone(error: Exception) -> KeeperGone:
    return KeeperGone(f"the keeper does not answer: {str(error) or type(error).__name__}")


def find(id: str) -> Keeper | None:
    """The keeper that has published its address and still runs."""
    try:
        told = json.loads((instance.state_home() / id / ADDRESS).read_text("utf-8"))
        keeper = Keeper(int(told["port"]), str(told["token"]), int(told["pid"]), str(told.get("start", "")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return keeper if keeper.runs else None


@contextmanager
def marking(id: str) -> Iterator[None]:
    """What this process starts meanwhile carries the instance's mark: should we be killed, the keeper finds it."""
    before = os.environ.get(MARK)
    os.environ[MARK] = id
    try:
        yield
    finally:
        if before is None:
            del os.environ[MARK]
        else:
            os.environ[MARK] = before


def ensure(record: Record, *, watched: bool) -> Keeper:
    """The instance's keeper, started where none runs.

    Args:
        watched: it tears the instance down when this process ends before `release`.

    Raises:
        EnvctlError: it cannot be started.
    """
    keeper = find(record.id)
    if keeper is not None:
        try:
            keeper.ask("POST", "/v1/expires", {"expires": record.expires}, QUICK)
        except KeeperSilent:
            end_silent(keeper, record.id)
        except KeeperGone:
            pass  # it removes an earlier instance of this name: that its keeper is another one now tells it to stop
        else:
            return keeper
    return _spawn(record, watched=watched)


def end_silent(keeper: Keeper, id: str) -> None:
    """A keeper that does not answer holds nothing together: it goes, and the processes below it, before anybody touches their files."""
    from envctl.keeper.marks import kill_marked, supervised

    keeper.kill()
    # Its supervisor notices, kills what it has and reaps it: in a container nobody else may, and a server takes a zombie for a rival.
    deadline = time.monotonic() + SUPERVISOR_TIMEOUT
    while supervised(id) and time.monotonic() < deadline:
        time.sleep(0.02)
    kill_marked(id)


def _spawn(record: Record, *, watched: bool) -> Keeper:
    ours, theirs = socket.socketpair()
    folder = record.folder
    config = {
        "id": record.id, "folder": str(folder), "address_file": str(folder / ADDRESS), "token": secrets.token_urlsafe(24),
        "expires": record.expires, "owner_fd": theirs.fileno() if watched else None,
        "teardown": [sys.executable, "-m", "envctl", "down", record.id], "teardown_env": {BY_KEEPER: "1"}, "mark": record.id,
        "processes": record.engine == "local" or bool(record.local),
        "reseed": [sys.executable, "-m", "envctl", "seed", record.id] if record.engine == "kubernetes" else [],
    }  # fmt: skip
    (folder / ADDRESS).unlink(missing_ok=True)
    instance.write_private(folder / CONFIG, json.dumps(config))
    process = _started(folder, theirs.fileno(), {**record.marks, "envctl.engine": record.engine})
    theirs.close()
    _children.append(process)
    record.keeper = instance.process_mark(process.pid)
    record.save()
    if watched:
        _held[record.id] = ours
    else:
        ours.close()
    return _published(record.id, process)


def _started(folder: Path, descriptor: int, marks: Mapping[str, str]) -> subprocess.Popen[bytes]:
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(PROGRAM), str(folder / CONFIG)], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=_environment(folder.name, marks), start_new_session=True, pass_fds=[descriptor],
        )  # fmt: skip
    finally:
        os.close(log)


def _environment(id: str, marks: Mapping[str, str]) -> dict[str, str]:
    """Ours without what chooses options, as the command that it runs in the end must mean this instance; and whose it is."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("ENVCTL_")}
    return {**plain, MARK: id, ABOUT: quote(json.dumps(dict(marks)), safe="")}


def seen_alone() -> dict[str, dict[str, str]]:
    """The labels of instances whose keeper runs, by id: also of those whose state somebody has deleted.

    An environment is what whoever started the process says: only our own processes are asked, and what is no id is no path either.
    """
    from envctl.keeper.system import variables

    told = [values.get(ABOUT, "") for pid, values in variables([ABOUT]).items() if _is_ours(pid)]
    labels = [found for text in told if (found := _labels(text))]
    return {found["envctl.instance"]: found for found in labels}


def _is_ours(pid: int) -> bool:
    try:
        return os.stat(f"/proc/{pid}").st_uid == os.geteuid() if os.path.isdir("/proc/self") else True
    except OSError:
        return False


def _labels(text: str) -> dict[str, str]:
    with suppress(ValueError):
        found = json.loads(unquote(text))
        if isinstance(found, dict) and instance.ID.fullmatch(str(found.get("envctl.instance"))):
            return {key: str(found.get(key, "")) for key in LABELS}
    return {}


def _published(id: str, process: subprocess.Popen[bytes]) -> Keeper:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        keeper = find(id)
        if keeper is not None:
            return keeper
        time.sleep(0.005)
    with suppress(OSError):
        process.kill()
    words = (instance.state_home() / id / LOG).read_text("utf-8", "replace").strip().splitlines()
    raise EnvctlError(f"the keeper of {id} does not start: {words[-1] if words else 'it says nothing'}")


def replaced(record: Record) -> bool:
    """Whether we tear down for a keeper whose instance has another one by now: a command has started anew meanwhile."""
    ours = bool(os.environ.get(BY_KEEPER)) and record.keeper != instance.process_mark(os.getppid())
    return ours and instance.process_alive(record.keeper) is True


def release(id: str) -> None:
    """From now on the instance outlives this process."""
    held = _held.pop(id, None)
    if held is not None:
        with suppress(OSError):
            held.sendall(b"release\n")
        held.close()


def lost(record: Record) -> bool:
    """Whether the keeper has ended: the one that watches us, or that of an instance that was up before."""
    held = _held.get(record.id)
    if held is None:
        return instance.process_alive(record.keeper) is False
    readable, _, _ = select.select([held], [], [], 0)
    return bool(readable)


def stop_processes(id: str, grace: Mapping[str, float]) -> bool:
    """The local processes end, each within its grace; the keeper stays. False where there is none that would have seen to it."""
    keeper = find(id)
    if keeper is None:
        return False
    patience = max([*grace.values(), 0.0]) + 30
    try:
        _, running = keeper.ask("GET", "/v1/processes", timeout=QUICK)
        from envctl.parallel import each

        each(lambda name: keeper.ask("DELETE", f"/v1/processes/{name}?grace={grace.get(name, 0)}", timeout=patience), list(running or {}))
    except KeeperSilent:
        end_silent(keeper, id)
        return False
    except KeeperGone:
        _wait_for_its_end(id, patience)
        return False
    return True


def _wait_for_its_end(id: str, patience: float) -> None:
    """It stops the processes itself, as its instance has expired; its address goes after them."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and find(id) is not None:
        time.sleep(0.02)


def dismiss(keeper: Keeper | None, id: str) -> None:
    """The keeper ends; nothing is torn down. (It is found before the record goes, and told after.)"""
    held = _held.pop(id, None)
    if keeper is not None:
        with suppress(KeeperGone):
            keeper.ask("POST", "/v1/stop", {})
    if held is not None:
        held.close()
