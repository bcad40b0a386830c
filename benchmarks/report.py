"""Write the figures as a table, and describe the machine on which they were taken."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.harness import Result
from benchmarks.programs import COMPOSE, Failed, run

HEADS = ("What", "Compared with", "Ours", "Theirs", "Ratio", "Goal", "Met")
MET = {True: "yes", False: "**no**", None: "-"}
PACKAGES = ("envctl", "testcontainers")


def table(results: Sequence[Result]) -> str:
    """Return a Markdown table, padded so that it is readable in a terminal, too."""
    rows = [HEADS, *(_cells(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join("-" * width for width in widths) + " |", *lines[1:]])


def _cells(result: Result) -> tuple[str, ...]:
    unit = result.goal.unit
    theirs = _median(result.theirs, unit) if result.theirs else "-"
    return (
        result.what, result.goal.rival or "-", _median(result.ours, unit), theirs,
        _ratio(result), result.goal.text, MET[result.met],
    )  # fmt: skip


def _median(figures: Sequence[float], unit: str) -> str:
    digits = 3 if unit == "s" and max(figures) < 0.5 else 2 if unit == "s" else 0
    return f"{statistics.median(figures):.{digits}f} {unit}"


def _ratio(result: Result) -> str:
    """Return the median of the ratios and their range."""
    if not result.ratios:
        return "-"
    return f"{result.figure:.2f} ({min(result.ratios):.2f} to {max(result.ratios):.2f})"


def document(results: Sequence[Result], days: Sequence[str]) -> str:
    """Return the text that `--write` writes; *days* are the days on which the rows were measured."""
    when = " and ".join(sorted(set(days)))
    head = f"Measured on {when}: medians of {_runs(results)} runs, both sides in turn, one run before them not counted; the ratio is the"
    return "\n".join([f"{head}\nmedian of the ratios of the pairs (lowest to highest).", "", table(results), "", *machine(), ""])


def _runs(results: Sequence[Result]) -> str:
    counts = sorted({len(result.ours) for result in results})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def machine() -> Iterator[str]:
    yield f"- {_processor()}, {os.cpu_count()} cores, {_memory()} GB, {platform.system()} {platform.release()}"
    yield f"- {_said('docker', 'version', '--format', 'Docker Engine {{.Server.Version}}')}, {_said(*COMPOSE, 'version')}"
    yield f"- Python {platform.python_version()}, {', '.join(_packages())}"


def _packages() -> Iterator[str]:
    from importlib.metadata import PackageNotFoundError, version

    for name in PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)


def _said(*argv: str) -> str:
    try:
        return run(argv).strip()
    except (Failed, OSError):
        return f"{argv[0]}: not here"
