"""The last runs of each test in a small file: a test that was red and green lately is flaky."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from envctl.errors import DefinitionError, Problem
from envctl.files.reading import read_file
from envctl.files.writing import always, write_file

RUNS = 20
"""As many of the last runs of a test count."""
VERSION = 1
LARGEST = 16_000_000
"""Bytes of the file."""
Runs = Mapping[str, str]
"""Test to its last runs, the oldest first: `+` green, `-` red, a blank where it did not run."""


def read_history(path: Path) -> dict[str, str]:
    """Empty where there is no file yet.

    Raises:
        DefinitionError: it is no history, or that of a later version.
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
    """*before* with one run more; a test that has not run for that long is forgotten."""
    signs = {name: "+" if passed else "-" for name, passed in green.items()}
    runs = {name: (before.get(name, "") + signs.get(name, " "))[-RUNS:].lstrip(" ") for name in {**before, **signs}}
    return {name: text for name, text in sorted(runs.items()) if text}


def flaky(runs: str) -> bool:
    return {"+", "-"} <= set(runs)


def write_history(path: Path, tests: Runs) -> None:
    """At once: nobody reads half of it."""
    text = json.dumps({"version": VERSION, "tests": tests}, ensure_ascii=False, indent=0)
    write_file(path, text + "\n", path.parent, ours=always)
