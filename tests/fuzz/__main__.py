"""`make fuzz`: run envctl on random projects for some minutes, and keep the projects on which it fails.

Usage: python -m tests.fuzz MINUTES [SEED]
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.inputs import project
from tests.fuzz.runner import run


def fuzz(minutes: float, seed: int) -> int:
    """Run random inputs for *minutes*, with the seeds from *seed* on; return how many inputs failed."""
    kept, found, count, end = Path(tempfile.mkdtemp(prefix="envctl-fuzz-")), 0, 0, time.monotonic() + 60 * minutes
    print(f"seed {seed}; again with `make fuzz SEED={seed}`", flush=True)
    while time.monotonic() < end:
        folder = kept / str(seed + count)
        folder.mkdir()
        arguments = project(seed + count, folder)
        if wrong := run(arguments, folder):
            found += 1
            print(f"{folder}: envctl {' '.join(arguments)}: {wrong}", flush=True)
        else:
            shutil.rmtree(folder)
            folder.with_name(f"{folder.name}.output").unlink()
        count += 1
    print(f"{count} inputs, {found} ended wrongly" + (f"; they are in {kept}" if found else ""))
    return found


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if argument]
    sys.exit(bool(fuzz(float(given[0]), int(given[1]) if len(given) > 1 else random.randrange(10**9))))
