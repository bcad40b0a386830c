"""Compare copying a seeded PostgreSQL database with the driver of leases and lanes, and with a plain `FILE_COPY`; alone and 8 at once."""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.data.instance import connected, running
from benchmarks.data.leases import DEFINITION
from envctl.units import opened

AT_ONCE, GOAL = 8, 1.2
Worker = Callable[[str], None]


def measure(work: Path, engine: str, count: int) -> str:
    """Measure *count* copies on each side, alternating, and return the result as text."""
    (work / "seed.sql").write_text("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 10000) i;")
    with running(work, engine, DEFINITION) as instance:
        url = instance.lanes[0]["URL"]
        told = [f"{name} {_compared(url, width, count)}" for name, width in (("alone", 1), (f"{AT_ONCE} at once", AT_ONCE))]
    return "; ".join(told) + f" (at most {GOAL})"


def _compared(url: str, width: int, count: int) -> str:
    base, at = urlsplit(url).path[1:], urlsplit(url)
    admin = connected(url, "postgres")
    admin.run(f'CREATE DATABASE by_hand_{width} TEMPLATE "{base}" STRATEGY FILE_COPY')
    admin.close()
    server = {"host": at.hostname, "port": at.port, "username": at.username, "password": at.password}

    def ours(template: str) -> float:
        with opened("postgres", server) as driver:
            return _timed(lambda name: driver.clone(template, name), driver.drop)

    def theirs(template: str) -> float:
        with connected(url, "postgres") as connection:
            raw = f'TEMPLATE "{template}" STRATEGY FILE_COPY'
            return _timed(lambda n: connection.run(f"CREATE DATABASE {n} {raw}"), lambda n: connection.run(f"DROP DATABASE {n}"))

    pairs = []
    with ThreadPoolExecutor(width) as threads:
        for _ in range(-(-count // width) + 1):
            pairs.append([max(threads.map(side, [f"by_hand_{width}"] * width)) for side in (ours, theirs)])
    own, raw = (statistics.median(each) * 1000 for each in zip(*pairs[1:], strict=True))
    ratio = statistics.median(a / b for a, b in pairs[1:])
    assert ratio <= GOAL, f"{width} at once: {own:.1f} ms, by hand {raw:.1f} ms: {ratio:.2f}"
    return f"{own:.1f} ms, by hand {raw:.1f} ms: {ratio:.2f}"


def _timed(make: Callable[[str], object], drop: Callable[[str], object]) -> float:
    """Return the seconds that *make* takes; both sides have open connections."""
    name = f"copy_{secrets.token_hex(4)}"
    began = time.perf_counter()
    make(name)
    took = time.perf_counter() - began
    drop(name)
    return took
