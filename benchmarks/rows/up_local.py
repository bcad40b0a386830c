"""Compare the shop as processes of this machine with the shop in containers: the same definition, both seeded, both warm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import shop
from benchmarks.harness import Goal, Sides
from benchmarks.lifecycle import upping

WHAT = "`envctl up shop --engine local`, seeded"
GOAL = Goal(0.35, rival="`envctl up shop` on Docker, seeded")


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    with shop.ours(work / "local", "local") as local, shop.ours(work / "docker") as docker:
        yield Sides(upping(local), upping(docker))
