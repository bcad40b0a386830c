"""The mark that every local process carries in its environment: by it those are found whose keeper and supervisor died at once.

A program that writes over its own environment (PostgreSQL and nginx do, to show a title) is found by the folder that it works in, where
that is one of its instance's.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from envctl.keeper import system

MARK = "ENVCTL_MARK"
PROCESS = "ENVCTL_PROCESS"
"""The name of the process; tells whose a daemon is that left its parent and its session."""
SUPERVISOR = "ENVCTL_SUPERVISOR"
"""The mark, as the supervisor itself carries it: nothing below a living one is an orphan."""
PATIENCE = 10.0
INSTANCE_LABEL = "envctl.instance"
"""The label with an instance's id. It stands here, not with the other labels: the keeper imports nothing from above it."""


def marked(prefix: str = "", variable: str = MARK) -> dict[int, str]:
    """Living processes whose mark begins with *prefix*, and their marks; those that have it as the *variable*."""
    table = system.processes()
    found = {pid: values.get(variable, "") for pid, values in system.variables([variable]).items()}
    return {pid: mark for pid, mark in found.items() if mark and mark.startswith(prefix) and pid in table and not table[pid].zombie}


def supervised(mark: str) -> bool:
    """Whether a supervisor of *mark* lives."""
    return mark in marked(mark, SUPERVISOR).values()


def kill_marked(mark: str, process: str | None = None, folder: str | None = None, spared: Collection[int] = ()) -> list[int]:
    """Kills all that carry exactly *mark*, and all below them, except ourselves and those above us; answers with what was killed.

    Args:
        process: only those that carry this name too.
        folder: also whoever has wiped its environment and works in there. (The children of a killed server have no parent by which
            they would be found, and take their time to notice.)
        spared: who must live on, as must their own ancestors.
    """
    own = [os.getpid(), *spared]
    return sorted(system.kill_all(lambda table: _doomed(mark, process, folder, own, table), patience=PATIENCE))


def _doomed(mark: str, process: str | None, folder: str | None, spared: Collection[int], table: system.Table) -> set[int]:
    found = system.variables([MARK, PROCESS, SUPERVISOR])
    # A supervisor that was halted does not notice that its keeper has ended.
    marked = {pid: values for pid, values in found.items() if mark in (values.get(MARK), values.get(SUPERVISOR))}
    roots = [pid for pid, values in marked.items() if process in (None, values.get(PROCESS))]
    hidden = system.nameless_in(folder) if folder else set()
    return system.with_descendants([*roots, *hidden], table).difference(*(system.ancestors(pid, table) for pid in spared))
