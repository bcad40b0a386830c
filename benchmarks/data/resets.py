"""The shop's lane is reset again and again, while its API runs on: right afterwards it must know what was seeded, and nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from benchmarks.data.instance import milliseconds, running

CUSTOMER = {"email": "ada@example.com", "name": "Ada", "password": "long-enough-for-it"}
PAUSE = 0.1
"""Seconds of a test between two resets, in which the next one is prepared."""


def measure(work: Path, engine: str, count: int) -> str:
    times = []
    with running(work, engine, "shop", "--lanes", "1") as shop, httpx.Client(base_url=shop.lanes[0]["ORDERS_URL"], timeout=30) as api:
        seeded = api.get("/products", params={"limit": 1000}).json()
        for number in range(count):
            made = api.post("/customers", json=CUSTOMER)  # the same every time: it is there already where a reset has not been one
            assert made.status_code == 201, f"after {number} resets: {made.status_code} {made.text}"
            time.sleep(PAUSE)
            began = time.perf_counter()
            shop.ask("POST", "/v1/lanes/1/reset", {})
            times.append(time.perf_counter() - began)
            now = api.get("/products", params={"limit": 1000})
            right = now.status_code == 200 and now.json() == seeded
            assert right, f"after {number + 1} resets: {now.status_code} {now.text[:200]}"
    return f"{count} resets, each followed by a right answer of the API; {milliseconds(times)}"
