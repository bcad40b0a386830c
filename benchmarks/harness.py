"""Measure two sides in turn (A B A B), so that other load on the machine affects both."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

ROWS = (
    "up", "up_snapshots", "up_large", "up_seeded", "up_lean", "up_composed", "up_testcontainers", "again", "down", "up_local",
    "postgres_local", "render", "render_process", "version", "memory", "keeper_memory", "up_kubernetes", "forward", "apply_200",
    "keeper_kubernetes",
)  # fmt: skip
"""The rows in the order of the table; each is a module of `benchmarks.rows`."""

Measure = Callable[[], float]
"""A function that measures one run without its set-up and clean-up, and returns seconds, or a figure in the row's unit."""


@dataclass(frozen=True)
class Sides:
    """The side of envctl, and the side it is compared with; a row without the latter has an absolute goal."""

    ours: Measure
    theirs: Measure | None = None


@dataclass(frozen=True)
class Goal:
    """At most *limit*: a multiple of the rival's figure, or a figure in the row's unit without a rival. None means no goal."""

    limit: float | None
    unit: str = "s"
    rival: str = ""

    @property
    def text(self) -> str:
        if self.limit is None:
            return "none"
        return f"<= {self.limit:g} x" if self.rival else f"<= {self.limit:g} {self.unit}"


class Row(Protocol):
    """A module of `benchmarks.rows`: what it measures, its goal, and a context manager that keeps both sides open during the row."""

    WHAT: str
    GOAL: Goal

    def sides(self, work: Path) -> AbstractContextManager[Sides]: ...


@dataclass(frozen=True)
class Result:
    """The result of a row: one figure per run for each side."""

    name: str
    what: str
    goal: Goal
    ours: tuple[float, ...]
    theirs: tuple[float, ...] = ()

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(a / b for a, b in zip(self.ours, self.theirs, strict=False))

    @property
    def figure(self) -> float:
        """The figure that the goal limits: the median of the ratios of the pairs, or envctl's median without a rival."""
        return statistics.median(self.ratios or self.ours)

    @property
    def met(self) -> bool | None:
        return None if self.goal.limit is None else self.figure <= self.goal.limit


def load(name: str) -> Row:
    row: Row = import_module(f"benchmarks.rows.{name}")
    return row


def measured(name: str, runs: int, work: Path, say: Callable[[str], None]) -> Result:
    """Measure one row: a warm-up run that is not counted, then *runs* pairs."""
    row = load(name)
    with row.sides(work) as sides:
        pairs = list(_pairs(sides, runs, say))
    ours, theirs = tuple(a for a, _ in pairs), tuple(b for _, b in pairs if b is not None)
    return Result(name, row.WHAT, row.GOAL, ours, theirs)


def _pairs(sides: Sides, runs: int, say: Callable[[str], None]) -> Iterator[tuple[float, float | None]]:
    for number in range(runs + 1):
        ours, theirs = sides.ours(), sides.theirs() if sides.theirs else None
        say(f"  {f'run {number}' if number else 'warm-up'}: {ours:.3f}" + (f" / {theirs:.3f}" if theirs is not None else ""))
        if number:
            yield ours, theirs
