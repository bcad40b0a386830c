"""A report from the checkpoints of a run: which tests leave data behind, which change another test's data, and which may share a lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SIGNS = {"added": "+", "changed": "~", "removed": "-"}
SHOWN = 30
"""The maximum number of tests that a list shows."""


def document(checkpoints: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the report for programs, as `{"leaving", "touching", "clean"}`.

    `leaving` has each test with the changes that it left, `touching` each test with the tests whose data it changed, and `clean` the other
    tests. A test that has run several times occurs once, with all its changes.
    """
    leaving: dict[str, dict[str, dict[str, dict[str, int]]]] = {}
    touching: dict[str, list[str]] = {}
    for each in checkpoints:
        for service, things in each["changes"].items():
            found = leaving.setdefault(each["test"], {}).setdefault(service, {})
            for thing, change in things.items():
                before = found.get(thing, {})
                found[thing] = {name: before.get(name, 0) + change[name] for name in SIGNS}
        if each["touched"]:
            touching[each["test"]] = sorted({*touching.get(each["test"], ()), *each["touched"]})
    clean = dict.fromkeys(each["test"] for each in checkpoints if each["test"] not in leaving)
    return {"leaving": leaving, "touching": touching, "clean": list(clean)}


def report(checkpoints: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines to print; none if nothing was watched."""
    if not checkpoints:
        return []
    leaving, touching, clean = document(checkpoints).values()
    lines = [f"{_tests(len(leaving))} left data behind:"] if leaving else ["no test left data behind"]
    lines += _shown([f"  {test}: {summary(changes)}" for test, changes in leaving.items()])
    if touching:
        lines += [f"{_tests(len(touching))} changed what another test had left:"]
        lines += _shown([f"  {test}: data of {', '.join(others)}" for test, others in touching.items()])
    if clean and leaving:
        lines += [f"{_tests(len(clean))} left nothing behind, and may share a lane"]
    return lines


def summary(changes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Return the changes in one line, as `db.orders +1 ~2, mail.messages +1`."""
    return ", ".join(
        f"{service}.{thing} {' '.join(f'{sign}{change[name]}' for name, sign in SIGNS.items() if change[name])}"
        for service, things in changes.items()
        for thing, change in things.items()
    )


def _shown(lines: list[str]) -> list[str]:
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"  and {len(lines) - SHOWN} more"]


def _tests(count: int) -> str:
    return f"{count} test{'' if count == 1 else 's'}"
