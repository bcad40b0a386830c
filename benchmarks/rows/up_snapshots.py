"""Compare the second `envctl up` of the shop, with its database from a snapshot, with plain Compose on the file that envctl renders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import shop
from benchmarks.harness import Goal, Sides
from benchmarks.lifecycle import upping

WHAT = "`envctl up shop` from snapshots, seeded"
GOAL = Goal(0.5, rival="`docker compose up --wait` of the file that `envctl render` writes, not seeded")


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    with shop.ours_from_snapshots(work) as ours, shop.theirs(shop.rendered(work)) as theirs:
        yield Sides(upping(ours), upping(theirs))
