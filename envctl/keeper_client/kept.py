"""Connections to a keeper that stay open between two requests: a test run sends one or more for each of its tests."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envctl.keeper_client.client import KeeperClient, KeeperGone

if TYPE_CHECKING:
    from envctl.keeper_client.connection import Connection


class KeptKeeper:
    """The keeper of the instance in *folder*, and whichever runs after it; for any number of threads. A forked process has its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owner = os.getpid()
        self._idle: list[tuple[KeeperClient, Connection]] = []

    def ask(self, method: str, path: str, body: Any = None, timeout: float = 60.0) -> tuple[int, Any]:
        """Status and JSON of the answer. No request is sent twice.

        Args:
            timeout: in seconds, for this request.

        Raises:
            KeeperGone: nobody answers.
        """
        client, connection = self._taken()
        try:
            found = client.ask_over(connection, method, path, body, timeout)
        except BaseException:
            connection.close()
            raise
        self._idle.append((client, connection))
        return found

    def close(self) -> None:
        """Ends the connections that nobody uses; the next request opens another one."""
        while (kept := self._popped()) is not None:
            kept[1].close()

    def _taken(self) -> tuple[KeeperClient, Connection]:
        """A connection over which the keeper has answered just now: an idle one may have been closed, or its keeper halted."""
        if self._owner != os.getpid():
            self.close()  # here: the parent's descriptors stay open
            self._owner = os.getpid()
        while (kept := self._popped()) is not None:
            client, connection = kept
            with suppress(KeeperGone):
                if connection.sock is not None:  # else it would connect to whoever has the port now
                    client.greet(connection)
                    return kept
            connection.close()
        return self._opened()

    def _popped(self) -> tuple[KeeperClient, Connection] | None:
        try:
            return self._idle.pop()
        except IndexError:  # another thread was quicker
            return None

    def _opened(self) -> tuple[KeeperClient, Connection]:
        client = KeeperClient.at(self._folder)
        if client is None:
            raise KeeperGone("the instance has no keeper any more")
        connection = client.connection()
        try:
            client.greet(connection)
        except BaseException:
            connection.close()
            raise
        return client, connection
