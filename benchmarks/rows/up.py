"""Compare `envctl up` with plain Compose on the file that envctl renders, with health checks every second.

envctl also seeds the database (a migration in the image of `orders`, and a CSV file); Compose leaves it empty.
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
