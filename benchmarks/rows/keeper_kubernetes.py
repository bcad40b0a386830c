"""The keeper of a shop on a cluster, with the port forwards of all its services."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import cluster
from benchmarks.harness import Goal, Sides
from benchmarks.rows.keeper_memory import resident

WHAT = "resident memory of an instance's keeper on Kubernetes, with its port forwards"
GOAL = Goal(80, unit="MB")


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    with cluster.ours(work) as ours:

        def measure() -> float:
            ours.up()
            [config] = (work / "state/envctl").glob("*/keeper-config.json")
            found = resident(str(config))
            ours.down()
            return found

        yield Sides(measure)
