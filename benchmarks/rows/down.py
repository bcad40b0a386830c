"""Measure the removal of the shop: containers, network and volumes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import shop
from benchmarks.harness import Goal, Sides

WHAT = "`envctl down` of the shop"
GOAL = Goal(1.0, rival="`docker compose down -t 0 -v`")


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    with shop.ours(work) as ours, shop.theirs(shop.rendered(work)) as theirs:

        def our_down() -> float:
            ours.up()
            return ours.down()

        def their_down() -> float:
            theirs.up()
            return theirs.down()

        yield Sides(our_down, their_down)
