"""Measure the keeper of a shop on a cluster, with the port forwards of all services."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import cluster
from benchmarks.harness import Goal, Sides
from benchmarks.keepers import keeper_memory

WHAT = "resident memory of an instance's keeper on Kubernetes, with its port forwards"
GOAL = Goal(80, unit="MB")


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    with cluster.ours(work) as ours:
        yield Sides(keeper_memory(ours, work))
