"""Measure rendering as in `render`, but for the whole process, as a user runs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.definitions import large
from benchmarks.harness import Goal, Sides
from benchmarks.programs import ENVCTL, environment, seconds

WHAT = "`envctl render` of 500 services, the whole process"
GOAL = Goal(1.0)


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    file, env = large(work / "large"), environment(work)
    yield Sides(lambda: seconds([ENVCTL, "render", str(file), "-o", str(work / "out")], env))
