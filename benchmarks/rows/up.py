"""`envctl up` against plain Compose on the file that we render ourselves, health checks every second.

Ours seeds the database as well (a migration in the image of `orders`, and a CSV); theirs leaves it empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import shop
from benchmarks.harness import Goal, Sides
from benchmarks.lifecycle import upping

WHAT = "`envctl up shop`, seeded"
GOAL = Goal(0.8, rival="`docker compose up --wait` of the file that `envctl render` writes, not seeded")


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    with shop.ours(work) as ours, shop.theirs(shop.rendered(work)) as theirs:
        yield Sides(upping(ours), upping(theirs))
