"""The last runs of each test, in a small file. A test that was both red and green recently is flaky."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from envctl.errors import DefinitionError, Problem
from envctl.files.reading import read_file
from envctl.files.writing import always, write_file

RUNS = 20
"""The number of a test's last runs that count."""
VERSION = 1
LARGEST = 16_000_000
"""The maximum size of the file in bytes."""
Runs = Mapping[str, str]
"""The tests with their last runs, the oldest first: `+` green, `-` red, a blank if the test did not run."""


def read_history(path: Path) -> dict[str, str]:
    """Return the last runs of each test; empty if the file does not exist yet.

    Raises:
        DefinitionError: the file is not a history, or has a later version.
    """
    try:
        found = json.loads(read_file(path, path.parent, largest=LARGEST))
        tests = found["tests"] if found["version"] == VERSION else None
        if not isinstance(tests, dict) or not all(isinstance(runs, str) and not set(runs) - set("+- ") for runs in tests.values()):
            raise ValueError("not of this version")
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        why = f"not a history of tests: {error}"
        raise DefinitionError([Problem(path, getattr(error, "lineno", 1), "", why, "delete it, or name another file")]) from None
    return tests


def with_run(before: Runs, green: Mapping[str, bool]) -> dict[str, str]:
    """Return *before* with one more run; a test that has not run in the last `RUNS` runs is removed."""
    signs = {name: "+" if passed else "-" for name, passed in green.items()}
    runs = {name: (before.get(name, "") + signs.get(name, " "))[-RUNS:].lstrip(" ") for name in {**before, **signs}}
    return {name: text for name, text in sorted(runs.items()) if text}


def flaky(runs: str) -> bool:
    """Return whether *runs*, the last runs of a test, has both red and green ones."""
    return {"+", "-"} <= set(runs)


def write_history(path: Path, tests: Runs) -> None:
    """Write the history in one step, so that no reader sees a part of it."""
    text = json.dumps({"version": VERSION, "tests": tests}, ensure_ascii=False, indent=0)
    write_file(path, text + "\n", path.parent, ours=always)
