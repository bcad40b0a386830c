"""`envctl up` on a cluster against kubectl on the file that we render ourselves.

Ours seeds the database as well, in the cluster; theirs leaves it empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import cluster
from benchmarks.harness import Goal, Sides
from benchmarks.lifecycle import upping

WHAT = "`envctl up shop --engine kubernetes`, seeded"
GOAL = Goal(1.15, rival="`kubectl apply` and `kubectl wait` of the file that `envctl render` writes, not seeded")


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    with cluster.ours(work) as ours, cluster.theirs(work) as theirs:
        yield Sides(upping(ours), upping(theirs))
