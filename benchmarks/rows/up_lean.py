"""Measure as `up` does, but against the fastest known hand-written version of the Compose file; for comparison, without a goal.

The file that `render` writes has to run on any daemon, so it contains files as `configs` and builds the image; a file written by hand for
this machine mounts the files and uses the existing image.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import shop
from benchmarks.harness import Goal, Sides
from benchmarks.lifecycle import upping

WHAT = "`envctl up shop`, seeded"
GOAL = Goal(None, rival="`docker compose up --wait` of that file with bind mounts and the image built before, not seeded")


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    with shop.ours(work) as ours, shop.theirs(shop.lean(work)) as theirs:
        yield Sides(upping(ours), upping(theirs))
