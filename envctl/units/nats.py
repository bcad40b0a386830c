"""NATS: the server as a whole is the unit. A reset purges every stream (key-value and object stores are streams, too).

Streams and consumers stay, since the services under test hold on to them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import nats
from nats.errors import Error

from envctl.units import Emptied, UnitError


def open_driver(properties: Mapping[str, Any]) -> NatsDriver:
    return NatsDriver(properties)


class NatsDriver(Emptied):
    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._of = properties

    def reset(self, template: str, unit: str) -> None:
        if not self._of.get("jetstream", True):
            return
        try:
            for login in (self._of, *(self._of.get("accounts") or {}).values()):
                asyncio.run(self._purge(login))
        except (Error, OSError) as error:
            raise UnitError(f"NATS at {self._of['host']}:{self._of['port']}: {error}") from None

    async def _purge(self, login: Mapping[str, Any]) -> None:
        """Every stream of one account."""
        server = f"nats://{self._of['host']}:{self._of['port']}"
        client = await nats.connect(server, user=str(login["username"]), password=str(login["password"]), allow_reconnect=False)
        try:
            manager = client.jsm()
            offset = 0
            while streams := await manager.streams_info(offset):
                for stream in streams:
                    await manager.purge_stream(str(stream.config.name))
                offset += len(streams)
        finally:
            await client.close()
