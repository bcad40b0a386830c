"""Check eight lanes of the shop for cross-talk.

Each lane has its own worker, which makes orders (payment, event, mail), rows and events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import nats

from benchmarks.data.instance import running

LANES = 8
EACH_ORDER = 5
"""The number of operations per turn: an order, two rows and two events."""
PATIENCE = 120.0
"""The number of seconds to wait for the last mail."""


def measure(work: Path, engine: str, count: int) -> str:
    turns = count // LANES // EACH_ORDER
    with running(work, engine, "shop", "--lanes", str(LANES), "--timeout", "15m") as shop:
        asyncio.run(_all(shop.lanes, turns))
    return f"{LANES} lanes, {turns * EACH_ORDER * LANES} operations, no cross-talk"


async def _all(lanes: Any, turns: int) -> None:
    workers = [Worker(number, outputs, turns) for number, outputs in enumerate(lanes, 1)]
    await asyncio.gather(*(worker.work() for worker in workers))


class Worker:
    """The worker of one lane; everything that it creates contains its number."""

    def __init__(self, number: int, outputs: Mapping[str, str], turns: int) -> None:
        self.email, self.number, self.outputs, self.turns = f"lane{number}@example.com", number, outputs, turns
        self.heard: list[str] = []

    async def work(self) -> None:
        customer = {"email": self.email, "name": f"Lane {self.number}", "password": "long-enough-for-it"}
        broker = await nats.connect(self.outputs["NATS_URL"])
        await broker.subscribe("soak", cb=self._hear)
        database = await asyncpg.connect(self.outputs["DATABASE_URL"])
        async with httpx.AsyncClient(base_url=self.outputs["ORDERS_URL"], timeout=60) as api:
            assert (made := await api.post("/customers", json=customer)).status_code == 201, made.text
            token = (await api.post("/tokens", json=customer)).json()["access_token"]
            api.headers["Authorization"] = f"Bearer {token}"
            await database.execute("INSERT INTO products VALUES ('SOAK', 'Soak', NULL, 'tests', NULL, 100, 1000000)")
            for turn in range(self.turns):
                await self._turn(turn, api, database, broker)
        await broker.flush()
        await self._check(database)
        await broker.close()
        await database.close()

    async def _hear(self, message: Any) -> None:
        self.heard.append(message.data.decode())

    async def _turn(self, turn: int, api: httpx.AsyncClient, database: Any, broker: Any) -> None:
        answer = await api.post("/orders", json={"card": "tok_visa", "lines": [{"sku": "SOAK", "quantity": 1}]})
        assert answer.status_code == 201, f"lane {self.number}: {answer.status_code} {answer.text}"
        for kind in "ab":
            insert = "INSERT INTO products VALUES ($1, $2, NULL, 'tests', NULL, 100, 1)"
            await database.execute(insert, f"ROW-{kind.upper()}-{turn}", f"lane {self.number}")
            await broker.publish("soak", f"{self.number} {kind} {turn}".encode())

    async def _check(self, database: Any) -> None:
        """Assert that the lane contains only its own data, and all of it."""
        expected = {f"{self.number} {kind} {turn}" for kind in "ab" for turn in range(self.turns)}
        assert sorted(self.heard) == sorted(expected), f"lane {self.number}: events of others, or lost: {set(self.heard) ^ expected}"
        rows = await database.fetch("SELECT name, count(*) FROM products WHERE name LIKE 'lane %' GROUP BY name")
        assert [tuple(row) for row in rows] == [(f"lane {self.number}", 2 * self.turns)], f"lane {self.number}: rows {rows}"
        stored = await database.fetch("SELECT email, count(*) FROM orders JOIN customers c ON c.id = customer_id GROUP BY email")
        assert [tuple(row) for row in stored] == [(self.email, self.turns)], f"lane {self.number}: orders {stored}"
        async with httpx.AsyncClient(timeout=60) as web:
            journal = (await web.get(f"{self.outputs['PAYMENTS_URL'].rstrip('/')}/__admin/requests")).json()["requests"]
            strangers = [each for each in journal if self.email not in each["request"]["body"]]
            assert not strangers, f"lane {self.number}: payments of others {strangers[:2]}"
            for _ in range(int(PATIENCE)):
                found = (await web.get(f"{self.outputs['MAIL_URL'].rstrip('/')}/api/v1/messages", params={"limit": 10_000})).json()[
                    "messages"
                ]
                if len(found) >= min(self.turns, 500):  # Mailpit keeps no more than 500
                    break
                await asyncio.sleep(1)
        to = {each["To"][0]["Address"] for each in found}
        assert (to, len(found) >= min(self.turns, 500)) == ({self.email}, True), f"lane {self.number}: {len(found)} mails to {to}"
