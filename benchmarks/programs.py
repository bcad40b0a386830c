"""Programs under the clock: a run that fails ends the benchmark, with what the program said."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVCTL = str(Path(sys.executable).with_name("envctl"))
COMPOSE = ("docker", "compose")


class Failed(Exception):
    """A program did not end with 0."""


def environment(work: Path) -> dict[str, str]:
    """A state folder of the benchmark's own, and no defaults of whoever runs it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ENVCTL_")}
    return {**kept, "XDG_STATE_HOME": str(work / "state"), "CI": "1", "ENVCTL_NO_SNAPSHOTS": "1"}


def with_snapshots(work: Path) -> dict[str, str]:
    """The same, with snapshots of its own."""
    return {**environment(work), "XDG_CACHE_HOME": str(work / "cache"), "ENVCTL_NO_SNAPSHOTS": ""}


def run(argv: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """What *argv* prints on stdout.

    Raises:
        Failed: with the end of its stderr.
    """
    done = subprocess.run(argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(argv)} ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def seconds(argv: Sequence[str], env: Mapping[str, str] | None = None) -> float:
    began = time.perf_counter()
    run(argv, env)
    return time.perf_counter() - began


def peak_megabytes(argv: Sequence[str], env: Mapping[str, str]) -> float:
    """The peak resident memory of the program itself.

    Read from VmHWM while it runs: `ru_maxrss` counts the memory that a child had before its exec (ours), and the largest
    of its own children too.
    """
    process = subprocess.Popen(argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _high_water(process.pid))
        time.sleep(0.01)
    if process.returncode:
        raise Failed(f"{' '.join(argv)} ended with {process.returncode}")
    return peak / 1024


def _high_water(pid: int) -> int:
    """Kilobytes; 0 where the process has just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
