"""`envctl up` of the shop for the second time, its database from a snapshot, against plain Compose on the file that we render ourselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import shop
from benchmarks.harness import Goal, Sides
from benchmarks.lifecycle import gone, upping
from benchmarks.programs import ENVCTL, run, with_snapshots

WHAT = "`envctl up shop` from snapshots, seeded"
GOAL = Goal(0.5, rival="`docker compose up --wait` of the file that `envctl render` writes, not seeded")


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    env = with_snapshots(work)
    run([ENVCTL, "snapshots", "build", "shop", "--engine", "docker"], env)
    try:
        with gone(shop.Ours(env)) as ours, shop.theirs(shop.rendered(work)) as theirs:
            yield Sides(upping(ours), upping(theirs))
    finally:
        run([ENVCTL, "snapshots", "--prune"], env)
