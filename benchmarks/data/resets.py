"""Reset the shop's lane repeatedly while its API is running: right after a reset, the API must return the seeded data and nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from benchmarks.data.instance import milliseconds, running

CUSTOMER = {"email": "ada@example.com", "name": "Ada", "password": "long-enough-for-it"}
PAUSE = 0.1
"""The seconds that a test takes between two resets; the next reset is prepared in this time."""


def measure(work: Path, engine: str, count: int) -> str:
    times = []
    with running(work, engine, "shop", "--lanes", "1") as shop, httpx.Client(base_url=shop.lanes[0]["ORDERS_URL"], timeout=30) as api:
        seeded = api.get("/products", params={"limit": 1000}).json()
        for number in range(count):
            made = api.post("/customers", json=CUSTOMER)  # always the same customer: it still exists if a reset did not reset
            assert made.status_code == 201, f"after {number} resets: {made.status_code} {made.text}"
            time.sleep(PAUSE)
            began = time.perf_counter()
            shop.ask("POST", "/v1/lanes/1/reset", {})
            times.append(time.perf_counter() - began)
            now = api.get("/products", params={"limit": 1000})
            right = now.status_code == 200 and now.json() == seeded
            assert right, f"after {number + 1} resets: {now.status_code} {now.text[:200]}"
    return f"{count} resets, each followed by a right answer of the API; {milliseconds(times)}"
