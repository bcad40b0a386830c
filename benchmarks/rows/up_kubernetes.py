"""Compare `envctl up` on a cluster with kubectl on the file that envctl renders.

envctl also seeds the database, in the cluster; kubectl leaves it empty.
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
