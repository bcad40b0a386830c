"""Memcached units: the server as a whole is one unit, and a reset deletes every item."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from envctl.units import Emptied, UnitError


def open_driver(properties: Mapping[str, Any]) -> MemcachedDriver:
    return MemcachedDriver(str(properties["host"]), int(properties["port"]))


class MemcachedDriver(Emptied):
    def __init__(self, host: str, port: int) -> None:
        self._address = host, port

    def reset(self, template: str, unit: str) -> None:
        try:
            with socket.create_connection(self._address, timeout=10) as connection:
                connection.sendall(b"flush_all\r\n")
                answer = connection.recv(64)
        except OSError as error:
            raise UnitError(f"Memcached at {self._address[0]}:{self._address[1]}: {error}") from None
        if answer != b"OK\r\n":
            raise UnitError(f"Memcached answered {answer.decode(errors='replace').strip()!r} to flush_all")
