"""Compare leases with a plain `CREATE DATABASE ... STRATEGY FILE_COPY`.

Eight workers run tests of 50 ms, each with its own database.
"""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.data.instance import Running, connected, running
from benchmarks.data.leases import DEFINITION

WORKERS, TEST, ROUNDS = 8, 0.05, 5
Tests = Callable[[int], None]


def measure(work: Path, engine: str, count: int) -> str:
    """Run *count* tests per worker in each round. The sides alternate, so that other load affects both. Return the result as text."""
    (work / "seed.sql").write_text("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 10000) i;")
    with running(work, engine, DEFINITION) as instance, _template(instance) as template:
        sides = {"leases": lambda tests: _leased(instance, tests), "by hand": lambda tests: _by_hand(instance, template, tests)}
        for side in sides.values():
            _round(side, 3)
        pairs = [[_round(side, count) for side in sides.values()] for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(each) * 1000 for each in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    return f"{WORKERS} workers: {ours:.1f} ms of wall time per test with leases, {theirs:.1f} ms by hand: {ratio:.2f} (at most 1.4)"


def _round(side: Tests, count: int) -> float:
    """Return the seconds per test."""
    began = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(side, [count] * WORKERS))
    return (time.perf_counter() - began) / (WORKERS * count)


@contextmanager
def _template(instance: Running) -> Iterator[str]:
    """Create a template with the seeded data to which no client is connected, and yield its name."""
    url = instance.lanes[0]["URL"]
    admin = connected(url, "postgres")
    admin.run(f'CREATE DATABASE by_hand TEMPLATE "{url.rpartition("/")[2]}" STRATEGY FILE_COPY')
    yield "by_hand"
    admin.close()


def _test(url: str, database: str | None = None) -> None:
    connection = connected(url, database)
    connection.run("SELECT count(*) FROM t")
    connection.run("INSERT INTO t VALUES (0, '')")
    connection.close()
    time.sleep(TEST)


def _leased(instance: Running, tests: int) -> None:
    for _ in range(tests):
        told = instance.ask("POST", "/v1/leases", {"service": "db"})
        _test(told["properties"]["url"])
        instance.ask("DELETE", f"/v1/leases/{told['id']}")


def _by_hand(instance: Running, template: str, tests: int) -> None:
    url = instance.lanes[0]["URL"]
    admin = connected(url, "postgres")
    for _ in range(tests):
        name = f"hand_{secrets.token_hex(4)}"
        admin.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        _test(url, name)
        admin.run(f"DROP DATABASE {name}")
    admin.close()
