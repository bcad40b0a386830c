"""Look for leftovers after many instances, and after many at once: `python -m benchmarks.soak [--engine E] [--cycles N] [--together N]`."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.programs import ENVCTL, Failed, environment, run

DEFINITION = "name: soak\nservices:\n  cache: {kind: valkey}\n  site: {kind: stub}\noutputs: {CACHE: '${cache.url}', SITE: '${site.url}'}\n"
WIDTH = 4
"""The number of commands at a time; more would only wait for the processors."""
DAEMONS = ("dockerd", "containerd")


def main() -> int:
    given = _arguments()
    with tempfile.TemporaryDirectory(prefix="envctl-soak-") as work:
        env = environment(Path(work)) | {"ENVCTL_ENGINE": given.engine}
        (Path(work) / "envctl.toml").touch()
        file = Path(work) / "soak.yaml"
        file.write_text(DEFINITION)
        soak = Soak(file, env)
        soak.cycle("warm-up")
        before = seen(Path(work))
        times = [soak.cycle("cycle") for _ in range(given.cycles)]
        after_cycles = seen(Path(work))
        during = soak.together(given.together, Path(work))
        after = seen(Path(work))
    print(
        f"\n{given.engine}: {given.cycles} cycles, up and down in {statistics.median(times):.2f} s (median), {max(times):.2f} s (worst)\n"
    )
    print(_table({"before": before, "after the cycles": after_cycles, f"with {given.together} up": during, "after those": after}))
    return 0 if _ours(before) == _ours(after_cycles) == _ours(after) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.soak", description="Brings instances up and down, and looks for what is left.")
    parser.add_argument("--engine", default="local", choices=["docker", "local"])
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--together", type=int, default=50)
    return parser.parse_args()


class Soak:
    """Instances of one small environment."""

    def __init__(self, file: Path, env: Mapping[str, str]) -> None:
        self.file, self.env = file, env

    def up(self, name: str) -> None:
        run([ENVCTL, "up", str(self.file), "--name", name], self.env)

    def cycle(self, name: str) -> float:
        began = time.perf_counter()
        self.up(name)
        self.down(name)
        return time.perf_counter() - began

    def down(self, name: str) -> None:
        subprocess.run([ENVCTL, "down", name], cwd=self.file.parent, env=self.env, check=True, capture_output=True)

    def together(self, count: int, work: Path) -> dict[str, int]:
        names = [f"soak-{number}" for number in range(count)]
        with ThreadPoolExecutor(WIDTH) as pool:
            list(pool.map(self.up, names))
            found = seen(work)
            list(pool.map(self.down, names))
        return found


def seen(work: Path) -> dict[str, int]:
    """Return the counts of everything that could grow: envctl's own must return to their start, those of Docker's daemons may vary."""
    from envctl.keeper.process_marks import marked

    return {
        "our processes": len(marked()),
        "instances on disk": len(list((work / "state/envctl").glob("*"))),
        "folders in /var/lib/envctl": len(list(Path("/var/lib/envctl").glob("*"))),
        "containers": _count("ps", "-aq"),
        "networks": _count("network", "ls", "-q"),
        "volumes": _count("volume", "ls", "-q"),
        "all processes": len(list(Path("/proc").glob("[0-9]*"))),
        "descriptors of Docker's daemons": sum(len(list(fds)) for fds in _descriptors()),
        "memory of Docker's daemons, MB": sum(_resident(pid) for pid in _daemons()) // 1024,
        "disk, MB": _disk(work),
    }


OURS = 6
"""The number of rows at the start that belong to envctl; if they differ at the end, envctl left something behind."""


def _ours(found: Mapping[str, int]) -> list[int]:
    return list(found.values())[:OURS]


def _count(*words: str) -> int:
    label = ["--filter", "label=envctl.instance"]
    try:
        return len(run(["docker", *words, *label]).split())
    except (OSError, Failed):
        return 0


def _daemons() -> list[str]:
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/comm") if _text(path).strip() in DAEMONS]


def _descriptors() -> Iterator[Iterator[Path]]:
    for pid in _daemons():
        yield Path(f"/proc/{pid}/fd").iterdir()


def _resident(pid: str) -> int:
    return next((int(line.split()[1]) for line in _text(Path(f"/proc/{pid}/status")).splitlines() if line.startswith("VmRSS:")), 0)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _disk(work: Path) -> int:
    folders = [folder for folder in (work, Path("/var/lib/envctl"), Path("/var/cache/envctl")) if folder.exists()]
    done = subprocess.run(["du", "-sm", "-c", *map(str, folders)], capture_output=True, text=True, check=False)
    return int(done.stdout.splitlines()[-1].split()[0])


def _table(columns: Mapping[str, Mapping[str, int]]) -> str:
    heads = ["", *columns]
    rows = [[name, *(str(column[name]) for column in columns.values())] for name in next(iter(columns.values()))]
    lines = ["| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows]]
    return os.linesep.join(lines)


if __name__ == "__main__":
    sys.exit(main())
