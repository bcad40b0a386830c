"""Connections to a keeper that stay open between requests, because a test run sends at least one request for each test."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envctl.keeper_client.client import KeeperClient, KeeperGone

if TYPE_CHECKING:
    from envctl.keeper_client.connection import Connection


class KeptKeeper:
    """The current keeper of the instance in *folder*, for any number of threads. A forked process opens its own connections."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owner = os.getpid()
        self._idle: list[tuple[KeeperClient, Connection]] = []

    def ask(self, method: str, path: str, body: Any = None, timeout: float = 60.0) -> tuple[int, Any]:
        """Send a request, exactly once; return the HTTP status and the JSON of the response.

        Args:
            timeout: seconds to wait for the response to this request.

        Raises:
            KeeperSilent: the keeper runs but does not answer.
            KeeperGone: the instance has no keeper, or the keeper is removing it.
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
        """Close the idle connections. The next request opens a new one."""
        while (kept := self._popped()) is not None:
            kept[1].close()

    def _taken(self) -> tuple[KeeperClient, Connection]:
        """Return a connection after a successful check: an idle connection may be closed, or its keeper may be stopped."""
        if self._owner != os.getpid():
            self.close()  # closes only this process's copies; the parent's connections stay open
            self._owner = os.getpid()
        while (kept := self._popped()) is not None:
            client, connection = kept
            with suppress(KeeperGone):
                if connection.sock is not None:  # without a socket it would reconnect, perhaps to another process on the same port
                    client.greet(connection)
                    return kept
            connection.close()
        return self._opened()

    def _popped(self) -> tuple[KeeperClient, Connection] | None:
        try:
            return self._idle.pop()
        except IndexError:  # another thread has taken the last one
            return None

    def _opened(self) -> tuple[KeeperClient, Connection]:
        client = KeeperClient.at(self._folder)
        if client is None:
            raise KeeperGone("the instance no longer has a keeper")
        connection = client.connection()
        try:
            client.greet(connection)
        except BaseException:
            connection.close()
            raise
        return client, connection
