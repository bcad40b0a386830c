"""Send requests to a running keeper over HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from envctl.errors import EnvctlError
from envctl.instance.folder import refuse_foreign
from envctl.keeper.system import start_time

if TYPE_CHECKING:
    import http.client

    from envctl.keeper_client.connection import Connection

ADDRESS = "keeper.json"
"""The name of the keeper's address file in the instance's folder."""
QUICK = 3.0
"""Seconds within which a keeper answers a simple request. A keeper that does not is stopped (SIGSTOP) or stuck."""


class KeeperGone(EnvctlError):
    """The keeper of an instance does not answer."""


class KeeperSilent(KeeperGone):
    """The keeper runs but does not answer, so the state of the instance is unknown. Its processes and port forwards may still work."""

    def __init__(self, why: str = "") -> None:
        hint = "nothing was changed, and it may answer later; `envctl down` ends it and everything that it runs"
        super().__init__(f"its state is unknown: the keeper runs, but does not answer{f' ({why})' if why else ''}", hint=hint)


class KeeperClient:
    """A client of one keeper.

    Attributes:
        port: the keeper's port on 127.0.0.1.
        token: the token for all requests.
        pid: the process id.
        start: the start time of the process, which shows whether the process id was reused; empty if unknown.
        folder: the folder with the private socket; None if the keeper has none.
        tests_token: the token that tests receive.
    """

    def __init__(self, port: int, token: str, pid: int, start: str = "", folder: Path | None = None) -> None:
        self.port, self.token, self.pid, self.start, self.folder = port, token, pid, start, folder
        self.tests_token = ""
        self._silent = False

    @classmethod
    def at(cls, folder: Path) -> KeeperClient | None:
        """Return a client of the keeper whose address file is in the instance's *folder*; None if no such keeper runs.

        Raises:
            UsageError: another user can write to the folder, so the address file cannot be trusted.
        """
        refuse_foreign(folder.parent, folder)
        try:
            told = json.loads((folder / ADDRESS).read_text("utf-8"))
            found = cls(int(told["port"]), str(told["token"]), int(told["pid"]), str(told.get("start", "")))
            found.folder = folder if told.get("private") else None
            found.tests_token = str(told.get("tests_token", ""))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if found.runs else None

    @property
    def identity(self) -> tuple[int, str, int]:
        """The process id, the start time and the port; different for every keeper."""
        return self.pid, self.start, self.port

    @property
    def runs(self) -> bool:
        """Whether the keeper's process runs."""
        found = start_time(self.pid)
        return bool(found) and self.start in ("", found)

    def kill(self) -> None:
        """Kill a keeper that does not answer. Do nothing if its start time is unknown, as the process could be another one."""
        if self.start and self.runs:
            with suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)

    def end_process(self, name: str, grace: float, timeout: float) -> None:
        """Stop the local process *name* and wait for its end. Do nothing if there is no such process.

        Args:
            grace: seconds after which the process is killed.
            timeout: seconds to wait for the answer.

        Raises:
            KeeperGone: the keeper does not answer.
        """
        self.ask("DELETE", f"/v1/processes/{quote(name, safe='')}?grace={grace}", timeout=timeout)

    def ask(self, method: str, path: str, body: Any = None, timeout: float | None = 60.0) -> tuple[int, Any]:
        """Send a request; return the HTTP status and the JSON of the response.

        A keeper that does not answer at all is detected after QUICK seconds, and later requests to it fail at once.

        Args:
            timeout: seconds to wait for the response to this request; None for no limit.

        Raises:
            KeeperSilent: the keeper runs but does not answer.
            KeeperGone: the keeper has ended, or is removing the instance.
        """
        if self._silent:
            raise KeeperSilent
        connection = self.connection()
        try:
            if timeout is None or timeout > QUICK:
                self.greet(connection)
            return self.ask_over(connection, method, path, body, timeout)
        finally:
            connection.close()

    def connection(self) -> Connection:
        """Return a new connection, which is opened by its first request."""
        from envctl.keeper_client.connection import Connection  # importing `http.client` takes longer than `envctl list` without a keeper

        return Connection(self.port, self.folder, QUICK)

    def greet(self, connection: Connection) -> None:
        """Check that the keeper answers a simple request within QUICK seconds.

        Raises:
            KeeperGone: the keeper does not answer.
        """
        self._answer(connection, "GET", "/v1/keeper", None, QUICK)

    def ask_over(self, connection: Connection, method: str, path: str, body: Any, timeout: float | None) -> tuple[int, Any]:
        """Send a request as `ask` does, but over *connection*, which stays open, and without the early check.

        Raises:
            KeeperSilent: the keeper runs but does not answer.
            KeeperGone: the keeper has ended, or is removing the instance.
        """
        from envctl.keeper.routing import TORN_DOWN

        status, content = self._answer(connection, method, path, body, timeout)
        if status == 503 and content.get("error") == TORN_DOWN:
            raise KeeperGone("the instance is being removed: it has expired, or lost its owner")
        return status, content

    def _answer(self, connection: Connection, method: str, path: str, body: Any, timeout: float | None) -> tuple[int, Any]:
        import http.client

        _give(connection, timeout)
        try:
            answer = self._request(connection, method, path, body)
            return answer.status, json.loads(answer.read() or b"null")
        except TimeoutError:
            self._silent = True
            raise KeeperSilent from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._lost(error) from None

    def _request(self, connection: http.client.HTTPConnection, method: str, path: str, body: Any) -> http.client.HTTPResponse:
        content = None if body is None else json.dumps(body).encode()
        connection.request(method, path, content, {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        return connection.getresponse()

    def stream(self, path: str) -> tuple[socket.socket, http.client.HTTPResponse]:
        """Send a GET request for an endless response; return its socket and the response. To end the response, shut the socket down.

        Raises:
            KeeperGone: the keeper does not answer.
        """
        import http.client

        connection = self.connection()
        try:
            connection.connect()
            sock = connection.sock
            answer = self._request(connection, "GET", path, None)
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from None
        sock.settimeout(None)
        return sock, answer

    def _lost(self, error: Exception) -> KeeperGone:
        why = str(error) or type(error).__name__
        return KeeperSilent(why) if self.runs else KeeperGone(f"the keeper does not answer: {why}")


def _give(connection: http.client.HTTPConnection, timeout: float | None) -> None:
    connection.timeout = timeout
    if connection.sock is not None:
        connection.sock.settimeout(timeout)
