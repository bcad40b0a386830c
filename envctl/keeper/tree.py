"""Who descends from whom, and killing all of them, those too that fork meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress

from envctl.keeper import system
from envctl.keeper.system import ProcessInfo

PAUSE = 0.005

Table = dict[int, ProcessInfo]


def with_descendants(roots: Collection[int], table: Table) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, seen in table.items():
        children.setdefault(seen.parent, []).append(pid)
    found: set[int] = set()
    todo = list(roots)
    while todo:
        if (pid := todo.pop()) not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def descendants(pid: int, table: Table) -> set[int]:
    return with_descendants([pid], table) - {pid}


def ancestors(pid: int, table: Table) -> set[int]:
    found: set[int] = set()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found


def kill(find: Callable[[Table], Collection[int]]) -> set[int]:
    """Kills what *find* chooses from the table of processes, and answers with it; all is gone when nothing is left to choose.

    They are halted first, until there is no new one: whoever is halted forks no more, and a child keeps its parent, by which it is found.
    """
    halted: set[int] = set()
    while new := _living(find) - halted:
        for pid in new:
            system.send(pid, signal.SIGSTOP)
        halted |= new
    for pid in halted:
        system.send(pid, signal.SIGKILL)
    return halted


def _living(find: Callable[[Table], Collection[int]]) -> set[int]:
    table = system.processes()
    return {pid for pid in find(table) if pid in table and not table[pid].zombie and pid != os.getpid()}


def kill_all(
    find: Callable[[Table], Collection[int]], between: Callable[[], object] = lambda: None, patience: float | None = None
) -> set[int]:
    """Kills until nothing is left, or *patience* has run out; *between* the attempts somebody may have to be reaped."""
    killed: set[int] = set()
    until = None if patience is None else time.monotonic() + patience
    pause = PAUSE
    while found := kill(find):
        killed |= found
        time.sleep(pause)
        between()
        pause = min(2 * pause, 0.2)
        if until is not None and time.monotonic() > until:
            break
    between()
    return killed


def kill_adopted(ours: Callable[[], Collection[int]], patience: float | None = None) -> None:
    """Kills what came to this process as to a subreaper: children that are not *ours*, and all below them."""
    me = os.getpid()
    kill_all(lambda table: with_descendants(_adopted(table, me, ours()), table), lambda: reap_adopted(ours), patience)


def reap_adopted(ours: Callable[[], Collection[int]]) -> None:
    table = system.processes()
    for pid in _adopted(table, os.getpid(), ours()):
        if table[pid].zombie:
            with suppress(ChildProcessError):  # another thread was faster
                os.waitpid(pid, os.WNOHANG)


def _adopted(table: Table, me: int, ours: Collection[int]) -> set[int]:
    return {pid for pid, seen in table.items() if seen.parent == me and pid not in ours}
