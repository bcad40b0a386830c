"""Measure `up` of an environment that is already up and unchanged; for comparison, without a goal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import shop
from benchmarks.harness import Goal, Sides

WHAT = "`envctl up shop` again, nothing changed"
GOAL = Goal(None, rival="`docker compose up --wait` again")


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    with shop.ours(work) as ours, shop.theirs(shop.rendered(work)) as theirs:
        ours.up()
        theirs.up()
        yield Sides(ours.up, theirs.up)
