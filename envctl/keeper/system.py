"""The processes of this machine: list them, read their environments, find their descendants, and kill them.

All differences between Linux and other systems are in this module.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress

LINUX = sys.platform.startswith("linux")
PAUSE = 0.005
"""The first pause between two attempts to kill processes, in seconds."""
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class ProcessInfo:
    """A process in the system's process table."""

    __slots__ = ("group", "parent", "session", "zombie")

    def __init__(self, parent: int, group: int, session: int, state: str) -> None:
        self.parent, self.group, self.session, self.zombie = parent, group, session, state[:1] in "ZX"


Table = dict[int, ProcessInfo]
"""The process table: process id to process."""


def become_subreaper() -> bool:
    """Let this process adopt orphaned descendants from now on; return False if the system does not support it."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends (Linux only). Call this after changing the user, which resets the setting."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> bool:
    if not LINUX:
        return False
    import ctypes

    return bool(ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0)


def processes() -> Table:
    """Return the process table, with every process that is visible."""
    return _processes_of_proc() if LINUX else _processes_of_ps()


def _processes_of_proc() -> Table:
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal() and (text := read(f"/proc/{name}/stat")):
            state, parent, group, session = text.rpartition(b")")[2].split()[:4]
            found[int(name)] = ProcessInfo(int(parent), int(group), int(session), state.decode())
    return found


def _processes_of_ps() -> Table:
    found = {}
    for line in filter(str.strip, _ps("-A", "-o", "pid=,ppid=,pgid=,stat=").splitlines()):
        pid, parent, group, state = line.split()[:4]
        # macOS shows no session ids; the process group comes closest.
        found[int(pid)] = ProcessInfo(int(parent), int(group), int(group), state)
    return found


def variables(names: Collection[str], pids: Collection[int] | None = None) -> dict[int, dict[str, str]]:
    """Return the variables *names* with which processes were started, by process id. Unreadable environments are left out.

    Args:
        pids: the processes to look at; None for all.
    """
    found = _variables_of_proc(names, pids) if LINUX else _variables_of_ps(names)
    return {pid: values for pid, values in found.items() if values and (pids is None or pid in pids)}


def _variables_of_proc(names: Collection[str], pids: Collection[int] | None) -> dict[int, dict[str, str]]:
    wanted = {name.encode(): name for name in names}
    found = {}
    for pid in (int(name) for name in os.listdir("/proc") if name.isdecimal()) if pids is None else pids:
        pairs = (entry.partition(b"=") for entry in (read(f"/proc/{pid}/environ") or b"").split(b"\0"))
        found[pid] = {wanted[name]: os.fsdecode(value) for name, _, value in pairs if name in wanted}
    return found


def _variables_of_ps(names: Collection[str]) -> dict[int, dict[str, str]]:
    # `ps` separates everything with blanks, so a value ends at the first blank. Marks contain none.
    pattern = re.compile(r"\s(" + "|".join(map(re.escape, names)) + r")=(\S*)")
    found = {}
    for line in filter(str.strip, _ps("-A", "-E", "-ww", "-o", "pid=,command=").splitlines()):
        pid, _, rest = line.strip().partition(" ")
        found[int(pid)] = dict(pattern.findall(rest))
    return found


def nameless_in(folder: str) -> set[int]:
    """Return the processes with an empty environment whose working directory is in *folder* (Linux only; else none)."""
    found = set()
    for name in os.listdir("/proc") if LINUX else ():
        with suppress(OSError):
            works = os.readlink(f"/proc/{name}/cwd") if name.isdecimal() else ""
            told = read(f"/proc/{name}/environ") if f"{works}/".startswith(f"{folder}/") else None
            if told is not None and b"=" not in told:
                found.add(int(name))
    return found


def start_time(pid: int) -> str:
    """Return the start time of a process in a format of the system; "" if the process has ended or is a zombie."""
    if LINUX:
        fields = (read(f"/proc/{pid}/stat") or b"").rpartition(b")")[2].decode().split()
        return "" if not fields or fields[0] in "ZX" else fields[19]
    shown = _ps("-o", "stat=,lstart=", "-p", str(pid)).strip()
    return "" if not shown or shown.startswith("Z") else "-".join(shown.split()[1:]).replace(":", ".")


def memory_kb() -> int:
    """Return the resident memory of this process, in KiB."""
    if LINUX:
        pages = int((read("/proc/self/statm") or b"0 0").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 1024
    return int(_ps("-o", "rss=", "-p", str(os.getpid())).strip() or 0)


def send(pid: int, number: int, how: Callable[[int, int], None] = os.kill) -> None:
    """Send signal *number* to a process, or with os.killpg to a group. Do nothing if it is gone or belongs to another user."""
    with suppress(ProcessLookupError, PermissionError):
        how(pid, number)


def with_descendants(roots: Collection[int], table: Table) -> set[int]:
    """Return *roots* and all their descendants."""
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
    """Return the descendants of a process, without the process itself."""
    return with_descendants([pid], table) - {pid}


def ancestors(pid: int, table: Table) -> set[int]:
    """Return a process and its ancestors, as far as they are visible."""
    found: set[int] = set()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found


def kill(find: Callable[[Table], Collection[int]]) -> set[int]:
    """Kill the processes that *find* selects from the process table; return their ids. An empty result means that all are gone.

    The processes are first stopped with SIGSTOP until *find* selects no new ones. A stopped process cannot fork, and it remains the
    parent through which its children are found.
    """
    halted: set[int] = set()
    while new := _living(find) - halted:
        for pid in new:
            send(pid, signal.SIGSTOP)
        halted |= new
    for pid in halted:
        send(pid, signal.SIGKILL)
    return halted


def _living(find: Callable[[Table], Collection[int]]) -> set[int]:
    table = processes()
    return {pid for pid in find(table) if pid in table and not table[pid].zombie and pid != os.getpid()}


def kill_all(
    find: Callable[[Table], Collection[int]], between: Callable[[], object] = lambda: None, patience: float | None = None
) -> set[int]:
    """Call `kill` until nothing is left; return the ids of all killed processes.

    Args:
        find: selects the processes from the process table.
        between: called after each attempt, for example to reap children.
        patience: seconds after which to give up; None for no limit.
    """
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
    """Kill the orphans that this process has adopted as a subreaper, and their descendants.

    Args:
        ours: returns the children that this process has started itself; they are not killed.
        patience: seconds after which to give up; None for no limit.
    """
    me = os.getpid()
    kill_all(lambda table: with_descendants(_adopted(table, me, ours()), table), lambda: reap_adopted(ours), patience)


def reap_adopted(ours: Callable[[], Collection[int]]) -> None:
    """Reap the zombies among the orphans that this process has adopted; *ours* returns the children that it has started itself."""
    table = processes()
    for pid in _adopted(table, os.getpid(), ours()):
        if table[pid].zombie:
            with suppress(ChildProcessError):  # another thread has reaped it
                os.waitpid(pid, os.WNOHANG)


def _adopted(table: Table, me: int, ours: Collection[int]) -> set[int]:
    return {pid for pid, seen in table.items() if seen.parent == me and pid not in ours}


def _ps(*arguments: str) -> str:
    import subprocess

    return subprocess.run(
        ["ps", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    ).stdout


def read(path: str) -> bytes | None:
    """Return the content of a file in /proc or /sys; None if it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as stream:
            return stream.readall()
    except OSError:
        return None
