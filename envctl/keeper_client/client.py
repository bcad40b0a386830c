"""Asking a keeper that runs, over HTTP."""

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
QUICK = 3.0
"""Seconds within which a keeper says something; one that does not is halted, or stuck."""


class KeeperGone(EnvctlError):
    """The keeper of an instance does not answer."""


class KeeperSilent(KeeperGone):
    """It runs, and says nothing of use: nobody can tell how the instance is. It is not dead, nor is what it holds."""

    def __init__(self, why: str = "") -> None:
        hint = "it may answer again later, and nothing was changed; `envctl down` ends it with all that it holds"
        super().__init__(f"its state is unknown: the keeper runs, but does not answer{f' ({why})' if why else ''}", hint=hint)


class KeeperClient:
    """One keeper, at its address.

    Attributes:
        pid: of its process.
        start: when that began, by which a later one of its number is told from it; empty where the keeper has not said.
        folder: where its private socket is, if it has one.
        tests_token: the one for tests.
    """

    def __init__(self, port: int, token: str, pid: int, start: str = "", folder: Path | None = None) -> None:
        self.port, self.token, self.pid, self.start, self.folder = port, token, pid, start, folder
        self.tests_token = ""
        self._silent = False

    @classmethod
    def at(cls, folder: Path) -> KeeperClient | None:
        """The keeper that has published its address in the instance's *folder*, and still runs.

        Raises:
            UsageError: others may have put an address there.
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
        """No two keepers share it."""
        return self.pid, self.start, self.port

    @property
    def runs(self) -> bool:
        found = start_time(self.pid)
        return bool(found) and self.start in ("", found)

    def kill(self) -> None:
        """For one that is silent; whoever cannot be told from another process is left alone."""
        if self.start and self.runs:
            with suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)

    def end_process(self, name: str, grace: float, timeout: float) -> None:
        """Ends the process *name*, with SIGKILL after *grace* seconds, and waits for that; nothing where there is none.

        Raises:
            KeeperGone: nobody answers.
        """
        self.ask("DELETE", f"/v1/processes/{quote(name, safe='')}?grace={grace}", timeout=timeout)

    def ask(self, method: str, path: str, body: Any = None, timeout: float | None = 60.0) -> tuple[int, Any]:
        """Status and JSON of the answer. One that was silent once is not waited for again.

        Args:
            timeout: for this request; whether there is anybody who answers shows earlier.

        Raises:
            KeeperGone: nobody answers.
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
        """One that is not open yet."""
        from envctl.keeper_client.connection import Connection  # `http.client` takes longer than `envctl list` where there is no keeper

        return Connection(self.port, self.folder, QUICK)

    def greet(self, connection: Connection) -> None:
        """There is somebody who answers soon.

        Raises:
            KeeperGone: nobody does.
        """
        self._answer(connection, "GET", "/v1/keeper", None, QUICK)

    def ask_over(self, connection: Connection, method: str, path: str, body: Any, timeout: float | None) -> tuple[int, Any]:
        """As `ask`, over a connection that stays open."""
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
        """An answer that goes on as long as somebody reads, and the socket that ends it when it is shut down.

        Raises:
            KeeperGone: nobody answers.
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
