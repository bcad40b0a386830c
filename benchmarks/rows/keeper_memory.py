"""Measure the keeper of a running shop on the local engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import shop
from benchmarks.harness import Goal, Sides
from benchmarks.keepers import keeper_memory

WHAT = "resident memory of an instance's keeper (its supervisor of local processes: 12 MB more)"
GOAL = Goal(30, unit="MB")


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    with shop.ours(work, "local") as ours:
        yield Sides(keeper_memory(ours, work))
