"""Measure the peak memory of `envctl up` itself; Docker Compose, which it runs for half a second, is a separate process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import shop
from benchmarks.harness import Goal, Sides
from benchmarks.programs import peak_megabytes

WHAT = "peak resident memory of `envctl up shop`"
GOAL = Goal(80, unit="MB")


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    with shop.ours(work) as ours:

        def peak() -> float:
            found = peak_megabytes(ours.up_command, ours.env)
            ours.down()
            return found

        yield Sides(peak)
