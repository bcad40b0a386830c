"""Run the benchmarks: `python -m benchmarks [--runs N] [--write] [ROW...]`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import ROWS, Result, load, measured
from benchmarks.programs import Failed
from benchmarks.report import document, table
from benchmarks.store import keep

RESULTS = Path(__file__).with_name("results.md")


def main() -> int:
    given = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that running instances are removed
    results: list[Result] = []
    status = 0
    for name in given.rows or ROWS:
        _say(f"{name}: {load(name).WHAT}")
        try:
            results.append(_measured(name, given.runs))
        except Failed as error:
            _say(f"{name}: {error}")
            status = 1
    print(table(results))
    if given.write:
        RESULTS.write_text(document(*keep(results)), "utf-8")
        _say(f"wrote {RESULTS}; `make docs` copies it into README.md and docs/benchmarks.md")
    return status


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description="Measures envctl beside what it is compared with.")
    parser.add_argument("rows", nargs="*", metavar="ROW", choices=[[], *ROWS], help=f"one or more of {', '.join(ROWS)}; all without one")
    parser.add_argument("--runs", type=int, default=7, help="pairs per row (7)")
    kept = f"keep the rows in {RESULTS.parent.name}/, and write the table of all to {RESULTS.name}"
    parser.add_argument("--write", action="store_true", help=kept)
    return parser.parse_args()


def _measured(name: str, runs: int) -> Result:
    """Measure a row in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="envctl-bench-") as work:
        return measured(name, runs, Path(work), _say)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
