"""Measure the time to lease a unit that is ready, from request to answer, for a client that keeps its connection open."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from benchmarks.data.instance import Running, milliseconds, running
from benchmarks.data.leases import DEFINITION

PAUSE, WARM = 0.05, 20
"""The seconds that a test takes between two requests (the next unit is made in this time); the number of takes that are not counted."""
MEDIAN, MOST = 2.0, 5.0
"""The goals for the median and the 95th percentile in milliseconds."""


def measure(work: Path, engine: str, count: int) -> str:
    (work / "seed.sql").write_text("CREATE TABLE t (a int); INSERT INTO t VALUES (1);")
    with running(work, engine, DEFINITION) as instance:
        took = [_take(instance) for _ in range(WARM + count)][WARM:]
    ordered = sorted(each * 1000 for each in took)
    median, most = statistics.median(ordered), ordered[len(ordered) * 95 // 100]
    assert median <= MEDIAN, f"{milliseconds(took)} (at most {MEDIAN:g} and {MOST:g} ms)"
    assert most <= MOST, f"{milliseconds(took)} (at most {MEDIAN:g} and {MOST:g} ms)"
    return f"{milliseconds(took)} (at most {MEDIAN:g} and {MOST:g} ms)"


def _take(instance: Running) -> float:
    began = time.perf_counter()
    told = instance.ask("POST", "/v1/leases", {"service": "db"})
    took = time.perf_counter() - began
    time.sleep(PAUSE)
    instance.ask("DELETE", f"/v1/leases/{told['id']}")
    time.sleep(PAUSE)
    return took
