"""Small servers in threads; each handles its connections with one function until the test ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from envctl.readiness import Target

Handler = Callable[[socket.socket], None]

PROPERTIES = {"username": "me", "password": "päss$'\n", "database": "shop", "virtual_host": "/", "region": "us-east-1"}


class Servers:
    """A starter of small servers, which returns a probe target for each server."""

    def __init__(self) -> None:
        self._listeners: list[socket.socket] = []
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def start(self, handler: Handler) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        self._listeners.append(listener)
        self._run(self._accept, listener, handler)
        return int(listener.getsockname()[1])

    def target(self, handler: Handler, **changes: Any) -> Target:
        port = self.start(handler)
        return Target("127.0.0.1", port, {"main": port}, **{"properties": PROPERTIES, "timeout": 2.0, **changes})

    def stop(self) -> None:
        for each in [*self._listeners, *self._connections]:
            # close() alone does not wake a thread that waits in accept() or recv().
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)

    def _run(self, function: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket, handler: Handler) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._run(self._serve, connection, handler)

    def _serve(self, connection: socket.socket, handler: Handler) -> None:
        with connection, suppress(OSError):
            handler(connection)


@pytest.fixture
def servers() -> Iterator[Servers]:
    found = Servers()
    yield found
    found.stop()
