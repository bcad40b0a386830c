"""The transactional outbox: no order is lost while the broker is down.

An event is a row, written in the same transaction as the order. A background task publishes the due rows as NATS
requests, and marks a row as published only after a receiver has answered. Core NATS drops messages without a subscriber,
so a successful publish alone would prove nothing. The delivery is therefore *at least once*.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg
from nats.aio.client import Client
from nats.errors import Error as NatsError

from shop.events import Event

log = logging.getLogger("shop.outbox")

BATCH = 20
ANSWER_SECONDS = 2.0
SWEEP_SECONDS = 0.5

DUE = """
    SELECT id, subject, payload FROM outbox WHERE published_at IS NULL AND due_at <= now()
    ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
"""
PUBLISHED = "UPDATE outbox SET published_at = now() WHERE id = ANY($1)"
POSTPONED = """
    UPDATE outbox SET attempts = attempts + 1, due_at = now() + interval '250 ms' * power(2, least(attempts, 4))
    WHERE id = ANY($1)
"""


async def add(connection: asyncpg.Connection, subject: str, event: Event) -> None:
    await connection.execute("INSERT INTO outbox (subject, payload) VALUES ($1, $2)", subject, json.dumps(event))


@dataclass(frozen=True)
class Publisher:
    pool: asyncpg.Pool
    broker: Client
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        while True:
            try:
                await self._publish_due()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                log.warning("the outbox cannot be read: %s", error)
            # The timeout also finds events that were postponed, or left by another replica.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), SWEEP_SECONDS)
            self._woken.clear()

    async def _publish_due(self) -> None:
        if not self.broker.is_connected:
            return
        async with self.pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(DUE, BATCH)
            if not rows:
                return
            taken = await asyncio.gather(*(self._deliver(row) for row in rows))
            ids = [row["id"] for row in rows]
            await connection.execute(PUBLISHED, [i for i, ok in zip(ids, taken, strict=True) if ok])
            await connection.execute(POSTPONED, [i for i, ok in zip(ids, taken, strict=True) if not ok])

    async def _deliver(self, row: asyncpg.Record) -> bool:
        try:
            answer = await self.broker.request(row["subject"], row["payload"].encode(), timeout=ANSWER_SECONDS)
        except (NatsError, OSError) as error:
            log.warning("event %s is kept for later: %s", row["id"], error or type(error).__name__)
            return False
        if answer.data:
            log.warning("event %s is kept for later: %s", row["id"], answer.data.decode(errors="replace"))
        return not answer.data
