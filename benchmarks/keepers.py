"""Measure the memory of a running instance's keeper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.lifecycle import Side


def keeper_memory(side: Side, work: Path) -> Callable[[], float]:
    """Return a function that measures the megabytes of the keeper of the only instance below *work*."""

    def measure() -> float:
        side.up()
        [config] = (work / "state/envctl").glob("*/keeper-config.json")
        found = _resident(str(config))
        side.down()
        return found

    return measure


def _resident(config: str) -> float:
    """Return the resident megabytes of the process that was started with *config*."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if config in (status.parent / "cmdline").read_text():
                line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
                return int(line.split()[1]) / 1024
        except (OSError, StopIteration):
            continue
    raise RuntimeError("there is no keeper")
