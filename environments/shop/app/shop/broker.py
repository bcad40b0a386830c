"""The connection to NATS, which is retried until the process ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from nats.aio.client import Client

log = logging.getLogger("shop.broker")


async def connect(client: Client, url: str, name: str, on_reconnect: Callable[[], None] = lambda: None) -> None:
    """Return once the client is connected. The client then reconnects and restores its subscriptions by itself."""

    async def failed(error: Exception) -> None:
        log.warning("broker: %s", error or type(error).__name__)

    async def reconnected() -> None:
        log.warning("broker: connected again")
        on_reconnect()

    parts = urlsplit(url)
    await client.connect(
        # Without the credentials of the URL, because the client does not decode percent-encoded ones.
        f"nats://{parts.netloc.rpartition('@')[2]}",
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        name=name,
        error_cb=failed,
        reconnected_cb=reconnected,
        reconnect_time_wait=0.25,  # type: ignore[arg-type]
        max_reconnect_attempts=-1,
    )
