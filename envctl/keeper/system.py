"""What differs between Linux and other systems: subreapers, the table of processes, their environments; chosen here alone."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Collection
from contextlib import suppress

LINUX = sys.platform.startswith("linux")
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class ProcessInfo:
    """A process as the system's table shows it."""

    __slots__ = ("group", "parent", "session", "zombie")

    def __init__(self, parent: int, group: int, session: int, state: str) -> None:
        self.parent, self.group, self.session, self.zombie = parent, group, session, state[:1] in "ZX"


def become_subreaper() -> bool:
    """Orphans among the descendants come to this process from now on; False where the system knows no such thing."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """To be called after the user is changed, which clears it."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> bool:
    if not LINUX:
        return False
    import ctypes

    return bool(ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0)


def processes() -> dict[int, ProcessInfo]:
    """Every process that is visible."""
    return _processes_of_proc() if LINUX else _processes_of_ps()


def _processes_of_proc() -> dict[int, ProcessInfo]:
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal() and (text := _read(f"/proc/{name}/stat")):
            state, parent, group, session = text.rpartition(b")")[2].split()[:4]
            found[int(name)] = ProcessInfo(int(parent), int(group), int(session), state.decode())
    return found


def _processes_of_ps() -> dict[int, ProcessInfo]:
    found = {}
    for line in filter(str.strip, _ps("-A", "-o", "pid=,ppid=,pgid=,stat=").splitlines()):
        pid, parent, group, state = line.split()[:4]
        # macOS shows no session ids; a group is what comes closest.
        found[int(pid)] = ProcessInfo(int(parent), int(group), int(group), state)
    return found


def variables(names: Collection[str], pids: Collection[int] | None = None) -> dict[int, dict[str, str]]:
    """Those of the variables *names* that processes were started with, as far as we may read them."""
    found = _variables_of_proc(names, pids) if LINUX else _variables_of_ps(names)
    return {pid: values for pid, values in found.items() if values and (pids is None or pid in pids)}


def _variables_of_proc(names: Collection[str], pids: Collection[int] | None) -> dict[int, dict[str, str]]:
    wanted = {name.encode(): name for name in names}
    found = {}
    for pid in (int(name) for name in os.listdir("/proc") if name.isdecimal()) if pids is None else pids:
        pairs = (entry.partition(b"=") for entry in (_read(f"/proc/{pid}/environ") or b"").split(b"\0"))
        found[pid] = {wanted[name]: os.fsdecode(value) for name, _, value in pairs if name in wanted}
    return found


def _variables_of_ps(names: Collection[str]) -> dict[int, dict[str, str]]:
    # Blanks separate everything there, so that a value ends with the first of them: marks hold none.
    pattern = re.compile(r"\s(" + "|".join(map(re.escape, names)) + r")=(\S*)")
    found = {}
    for line in filter(str.strip, _ps("-A", "-E", "-ww", "-o", "pid=,command=").splitlines()):
        pid, _, rest = line.strip().partition(" ")
        found[int(pid)] = dict(pattern.findall(rest))
    return found


def start_time(pid: int) -> str:
    """When a process began, in the system's own terms; empty for one that has ended, a zombie too."""
    if LINUX:
        fields = (_read(f"/proc/{pid}/stat") or b"").rpartition(b")")[2].decode().split()
        return "" if not fields or fields[0] in "ZX" else fields[19]
    shown = _ps("-o", "stat=,lstart=", "-p", str(pid)).strip()
    return "" if not shown or shown.startswith("Z") else "-".join(shown.split()[1:]).replace(":", ".")


def memory_kb() -> int:
    """What this process holds of the memory."""
    if LINUX:
        pages = int((_read("/proc/self/statm") or b"0 0").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 1024
    return int(_ps("-o", "rss=", "-p", str(os.getpid())).strip() or 0)


def send(pid: int, number: int, how: Callable[[int, int], None] = os.kill) -> None:
    """A signal for a process (or with os.killpg a group) that may be gone, or another user's."""
    with suppress(ProcessLookupError, PermissionError):
        how(pid, number)


def _ps(*arguments: str) -> str:
    import subprocess

    return subprocess.run(
        ["ps", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    ).stdout


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb", buffering=0) as stream:
            return stream.readall()
    except OSError:
        return None
