"""Receive the events that the services publish at the broker."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import nats
from nats.aio.subscription import Subscription

Event = dict[str, Any]


@dataclass(frozen=True)
class Listener:
    subscription: Subscription

    async def of(self, email: str, seconds: float = 15.0) -> Event:
        """Return the next event about the customer *email*; events of other customers, from concurrent tests, are skipped."""
        deadline = time.monotonic() + seconds
        while True:
            message = await self.subscription.next_msg(timeout=deadline - time.monotonic())
            event: Event = json.loads(message.data)
            if event["customer"]["email"] == email:
                return event


@asynccontextmanager
async def listening(subject: str) -> AsyncIterator[Listener]:
    url = urlsplit(os.environ["NATS_URL"])
    # Separate from the address, because the client does not decode percent-encoded credentials.
    credentials = {"user": unquote(url.username), "password": unquote(url.password or "")} if url.username else {}
    client = await nats.connect(f"nats://{url.hostname}:{url.port}", **credentials)
    try:
        subscription = await client.subscribe(subject)
        await client.flush()
        yield Listener(subscription)
    finally:
        await client.close()
