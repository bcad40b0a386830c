"""Keep the measurements by row: a new measurement replaces the row's previous one, and the other rows stay."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.harness import ROWS, Result, load

FIGURES = Path(__file__).with_name("results.json")


def keep(results: Iterable[Result], path: Path = FIGURES) -> tuple[list[Result], list[str]]:
    """Store *results*. Return all rows that were ever measured, in the order of the table, and the days on which they were measured."""
    kept: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    for result in results:
        figures = asdict(result)
        kept[result.name] = {"day": today, "ours": figures["ours"], "theirs": figures["theirs"]}
    path.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    there = [name for name in ROWS if name in kept]
    return [_result(name, kept[name]) for name in there], [kept[name]["day"] for name in there]


def _result(name: str, figures: dict[str, Any]) -> Result:
    row = load(name)
    return Result(name, row.WHAT, row.GOAL, tuple(figures["ours"]), tuple(figures["theirs"]))
