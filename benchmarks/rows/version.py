"""Measure how soon a command that does nothing ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Goal, Sides
from benchmarks.programs import COMPOSE, ENVCTL, environment, seconds

WHAT = "`envctl --version`"
GOAL = Goal(1.3, rival="`docker compose version`")


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    env = environment(work)
    yield Sides(lambda: seconds([ENVCTL, "--version"], env), lambda: seconds([*COMPOSE, "version"]))
