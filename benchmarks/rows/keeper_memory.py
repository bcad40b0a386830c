"""The keeper of a running shop on the local engine, its supervisor and relays with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import shop
from benchmarks.harness import Goal, Sides

WHAT = "resident memory of an instance's keeper (its supervisor of local processes: 12 MB more)"
GOAL = Goal(30, unit="MB")


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    with shop.ours(work, "local") as ours:

        def measure() -> float:
            ours.up()
            [address] = (work / "state/envctl").glob("*/keeper-config.json")
            found = resident(str(address))
            ours.down()
            return found

        yield Sides(measure)


def resident(config: str) -> float:
    """Megabytes of the process that was started with *config*."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if config in (status.parent / "cmdline").read_text():
                line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
                return int(line.split()[1]) / 1024
        except (OSError, StopIteration):
            continue
    raise RuntimeError("there is no keeper")
