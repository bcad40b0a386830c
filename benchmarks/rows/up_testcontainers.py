"""Compare envctl with testcontainers-python: the same services, one after the other, as its documentation shows; not seeded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks import shop
from benchmarks.harness import Goal, Sides
from benchmarks.lifecycle import upping
from benchmarks.programs import ROOT, Failed

WHAT = "`envctl up shop` from snapshots, seeded"
GOAL = Goal(0.4, rival="testcontainers-python, the same services one after the other, not seeded")
PROGRAM = [sys.executable, "-m", "benchmarks.testcontainers_shop"]


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    services = yaml.safe_load(shop.rendered(work).read_text("utf-8"))["services"]
    app = services["orders"]["image"]
    with shop.ours_from_snapshots(work) as ours:
        yield Sides(upping(ours), lambda: _their_up(app))


def _their_up(app: str) -> float:
    """Return the seconds until the program reports that all services are up; it removes them when its input ends."""
    # The image of its reaper cannot be pulled everywhere, and would be one more container to start.
    env = {**os.environ, "TESTCONTAINERS_RYUK_DISABLED": "true"}
    began = time.perf_counter()
    with subprocess.Popen([*PROGRAM, app], cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = process.stdout.readline()
        took = time.perf_counter() - began
        process.stdin.close()
    if said != "up\n" or process.returncode:
        raise Failed(f"{' '.join(PROGRAM)} ended with {process.returncode} and said {said!r}")
    return took
