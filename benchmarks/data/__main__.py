"""Run one part, or all of them; the exit code is 1 if a part has failed."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

PARTS = {"resets": 1000, "lanes": 10_000, "leases": 30, "snapshots": 30, "workers": 25, "clones": 100, "takes": 200}
"""By part: the default count. Each part is a module with `measure(work, engine, count)`, which returns the text of its result."""


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.data", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all without it")
    parser.add_argument("--engine", default="local", choices=["docker", "local"])
    parser.add_argument("--count", type=int, help="resets, operations, kills, tests of a worker, copies or takes")
    given, failed = parser.parse_args(), 0
    for part in given.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="envctl-data-") as work:
            began = time.monotonic()
            try:
                told = import_module(f"benchmarks.data.{part}").measure(Path(work), given.engine, given.count or PARTS[part])
            except AssertionError as error:
                told, failed = f"MISSED: {error}", 1
            load = os.getloadavg()[0]
            print(f"{part} on {given.engine}: {told} ({time.monotonic() - began:.0f} s, load {load:.0f})", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
