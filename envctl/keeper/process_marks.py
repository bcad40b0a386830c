"""The mark in the environment of every local process, which finds the processes if their keeper and supervisor have both died.

PostgreSQL and nginx overwrite their environment with the title that `ps` shows. Such a process is found by its working directory if
that is in the instance's folder.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from envctl.keeper import system

MARK = "ENVCTL_MARK"
"""The variable with the mark, which is the instance's id."""
PROCESS = "ENVCTL_PROCESS"
"""The variable with the name of the local process. It identifies a daemon of the process that has left its parent and its session."""
SUPERVISOR = "ENVCTL_SUPERVISOR"
"""The variable with the mark of the supervisor itself. Descendants of a living supervisor are not orphans."""
PATIENCE = 10.0
"""Seconds to wait for killed processes to disappear."""
INSTANCE_LABEL = "envctl.instance"
"""The label with an instance's id. It is defined here because the keeper must not import the package that has the other labels."""


def marked(prefix: str = "", variable: str = MARK) -> dict[int, str]:
    """Return the marks in *variable* of all living processes, by process id; only marks that begin with *prefix*."""
    table = system.processes()
    found = {pid: values.get(variable, "") for pid, values in system.variables([variable]).items()}
    return {pid: mark for pid, mark in found.items() if mark and mark.startswith(prefix) and pid in table and not table[pid].zombie}


def supervised(mark: str) -> bool:
    """Return whether a supervisor of *mark* is running."""
    return mark in marked(mark, SUPERVISOR).values()


def kill_marked(mark: str, process: str | None = None, folder: str | None = None, spared: Collection[int] = ()) -> list[int]:
    """Kill all processes with exactly *mark* and their descendants, but not this process and its ancestors; return the process ids.

    Args:
        process: if given, only processes with this name are killed.
        folder: if given, processes with an empty environment whose working directory is in this folder are killed as well. (Children
            of a killed server cannot be found through their parent, and may take a while to notice its end.)
        spared: process ids that are not killed; their ancestors are not killed either.
    """
    own = [os.getpid(), *spared]
    return sorted(system.kill_all(lambda table: _doomed(mark, process, folder, own, table), patience=PATIENCE))


def _doomed(mark: str, process: str | None, folder: str | None, spared: Collection[int], table: system.Table) -> set[int]:
    found = system.variables([MARK, PROCESS, SUPERVISOR])
    # Supervisors as well: one that is stopped (SIGSTOP) does not notice that its keeper has ended.
    marked = {pid: values for pid, values in found.items() if mark in (values.get(MARK), values.get(SUPERVISOR))}
    roots = [pid for pid, values in marked.items() if process in (None, values.get(PROCESS))]
    hidden = system.nameless_in(folder) if folder else set()
    return system.with_descendants([*roots, *hidden], table).difference(*(system.ancestors(pid, table) for pid in spared))
