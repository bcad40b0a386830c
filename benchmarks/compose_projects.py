"""Compare `envctl up` with `docker compose up --wait` for each Compose file of `tests/compose_projects`.

Run it with `python -m benchmarks.compose_projects`.

Both sides have their images, and envctl has its snapshots, as on every day except the first. The first pair of each file is not counted.
envctl returns when its servers have answered in their protocols.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Sides
from benchmarks.lifecycle import gone, upping
from benchmarks.programs import COMPOSE, ENVCTL, ROOT, run, seconds, with_snapshots
from benchmarks.rows.up_composed import Ours
from tests.compose_projects.test_projects import VARIABLES, document

PROJECTS = ROOT / "tests" / "compose_projects"
GOAL = 1.3


@dataclass(frozen=True)
class Plain:
    """The Compose file with plain Docker Compose; the engine chooses the host ports, because the published ones may be in use."""

    file: Path
    env: Mapping[str, str]

    @property
    def _words(self) -> list[str]:
        published = [name for name, service in document(self.file)["services"].items() if (service or {}).get("ports")]
        ports = self.file.with_name("no-ports.yaml")
        ports.write_text("services: {" + ", ".join(f"{name}: {{ports: !reset []}}" for name in published) + "}\n")
        return [*COMPOSE, "-p", f"plain-{os.getpid()}", "-f", str(self.file), "-f", str(ports)]

    def up(self) -> float:
        return seconds([*self._words, "up", "-d", "--wait", "--quiet-pull"], self.env)

    def down(self) -> str:
        return run([*self._words, "down", "-v", "-t", "0"], self.env)


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.compose_projects", description=__doc__)
    parser.add_argument("projects", nargs="*", help="all without it")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    names = given.projects or sorted(folder.name for folder in PROJECTS.iterdir() if list(folder.glob("*compose.y*ml")))
    ratios = {name: _compared(name, given.runs) for name in names}
    over = [name for name, ratio in ratios.items() if ratio > GOAL]
    print(f"{len(ratios) - len(over)} of {len(ratios)} within {GOAL:g} x{': not ' + ', '.join(over) if over else ''}")
    return bool(over)


def _compared(name: str, runs: int) -> float:
    with tempfile.TemporaryDirectory(prefix="envctl-bench-") as work:
        files = [_copied(name, Path(work) / side) for side in ("ours", "plain")]
        env = with_snapshots(Path(work)) | VARIABLES
        run([ENVCTL, "snapshots", "build", str(files[0]), "--engine", "docker"], env)
        try:
            with gone(Ours(env, files[0])) as ours, gone(Plain(files[1], env)) as plain:
                sides = Sides(upping(ours), upping(plain))
                assert sides.theirs is not None
                pairs = [(sides.ours(), sides.theirs()) for _ in range(runs + 1)][1:]
        finally:
            run([ENVCTL, "snapshots", "--prune"], env)
    own, theirs = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name}: {own:.2f} s / {theirs:.2f} s = {ratio:.2f}", flush=True)
    return ratio


def _copied(name: str, folder: Path) -> Path:
    shutil.copytree(PROJECTS / name, folder)
    (folder / "envctl.toml").touch()
    return next(folder.glob("*compose.y*ml"))


if __name__ == "__main__":
    sys.exit(main())
