"""What a command says to a keeper that runs: who is found at its address, over HTTP, and what becomes of one that is silent."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from envctl import instance
from envctl.errors import EnvctlError
from envctl.keeper.system import start_time

ADDRESS = "keeper.json"
QUICK = 3.0
"""Seconds within which a keeper says something; one that does not is halted, or stuck."""
SUPERVISOR_TIMEOUT = 10.0

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


def end_silent(keeper: Keeper, id: str) -> None:
    """A keeper that does not answer holds nothing together: it goes, and the processes below it, before anybody touches their files."""
    from envctl.keeper.marks import kill_marked, supervised

    keeper.kill()
    # Its supervisor notices, kills what it has and reaps it: in a container nobody else may, and a server takes a zombie for a rival.
    deadline = time.monotonic() + SUPERVISOR_TIMEOUT
    while supervised(id) and time.monotonic() < deadline:
        time.sleep(0.02)
    kill_marked(id)


def stop_processes(id: str, grace: Mapping[str, float]) -> bool:
    """The local processes end, each within its grace; the keeper stays. False where there is none that would have seen to it."""
    keeper = find(id)
    if keeper is None:
        return False
    patience = max([*grace.values(), 0.0]) + 30
    try:
        _, running = keeper.ask("GET", "/v1/processes", timeout=QUICK)
        from envctl.process.threads import each

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
