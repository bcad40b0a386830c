"""Run programs and measure them. A program that fails ends the benchmark with the program's output."""

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
    """A program that did not exit with 0."""


def environment(work: Path) -> dict[str, str]:
    """Return the environment variables for commands: a state folder of the benchmark's own, and none of the caller's defaults."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ENVCTL_")}
    return {**kept, "XDG_STATE_HOME": str(work / "state"), "CI": "1", "ENVCTL_NO_SNAPSHOTS": "1"}


def with_snapshots(work: Path) -> dict[str, str]:
    """Return the same variables with snapshots enabled, in a cache folder of the benchmark's own."""
    return {**environment(work), "XDG_CACHE_HOME": str(work / "cache"), "ENVCTL_NO_SNAPSHOTS": ""}


def run(argv: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """Run *argv* and return its stdout.

    Raises:
        Failed: The program failed; the error has the end of its output.
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
    """Return the peak resident memory of the program itself in megabytes.

    It is read from VmHWM while the program runs: `ru_maxrss` would include the memory that the child process had before its exec (the
    benchmark's own), and the largest of the program's own children.

    Raises:
        Failed: The program failed.
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
    """Return the peak resident kilobytes of a process; 0 if it has just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
