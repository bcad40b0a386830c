"""Measure the cost of 240 MB of seeds: `envctl up` of a database from its snapshot, compared with a database without seeds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Goal, Sides
from benchmarks.programs import ENVCTL, run, with_snapshots
from benchmarks.rows.up_large import kept, up

WHAT = "`envctl up` of a database with 240 MB of seeds, from its snapshot"
GOAL = Goal(1.15, rival="`envctl up` of the same database without seeds, which has been initialised before")
EMPTY = "name: bench-empty\nservices:\n  db: {kind: postgres}\n"


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    env, empty = with_snapshots(work), work / "bench-empty.yaml"
    empty.write_text(EMPTY)
    with kept(work, env) as (file, _):
        run([ENVCTL, "snapshots", "build", str(empty), "--engine", "docker"], env)
        yield Sides(lambda: up(file, env), lambda: up(empty, env))
