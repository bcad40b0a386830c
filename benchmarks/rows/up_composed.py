"""Compare envctl with plain Compose on an unchanged Compose file without health checks.

envctl returns when its servers have answered in their protocols; Compose returns when the containers run, whether or not their servers can
be used yet.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Goal, Sides
from benchmarks.lifecycle import all_down, gone, upping
from benchmarks.programs import ENVCTL, ROOT, environment, seconds
from benchmarks.shop import Theirs

WHAT = "`envctl up compose.yaml`, no health checks (nginx, NATS, Valkey)"
GOAL = Goal(1.3, rival="`docker compose up --wait` of that file")
FILE = ROOT / "benchmarks" / "composed.yaml"


@dataclass(frozen=True)
class Ours:
    env: Mapping[str, str]
    file: Path

    def up(self) -> float:
        return seconds([ENVCTL, "up", str(self.file), "--name", "bench-composed", "--engine", "docker"], self.env)

    def down(self) -> None:
        all_down(self.env)


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    file = Path(shutil.copy(FILE, work / "compose.yaml"))
    with gone(Ours(environment(work), file)) as ours, gone(Theirs(file)) as theirs:
        yield Sides(upping(ours), upping(theirs))
