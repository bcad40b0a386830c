"""Starting a local process, within its limits: a child with a session of its own, that dies with the thread that started it.

Fork and exec by hand: the supervisor has one thread only, and like this every step can say why it failed.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from envctl.keeper import system

CGROUPS = "/sys/fs/cgroup"
PERIOD = 100_000


class CannotStart(Exception):
    """In words for whoever asked for it."""


class Limits:
    """By a control group of its own where one may be made, else what the kernel offers for a single process.

    Attributes:
        enforced: `cgroup`, `rlimit` (writable memory, of each process alone) or None, for `memory_bytes` and `cpu`.
    """

    def __init__(self, name: str, memory_bytes: int | None = None, cpu: float | None = None, root: str = CGROUPS) -> None:
        self.memory_bytes, self.cpu = memory_bytes, cpu
        self.group = _control_group(name, memory_bytes, cpu, root)
        # Memory that it may write to: address space alone is reserved by the gigabyte (Go, Node). macOS lets nobody set it.
        weaker = "rlimit" if memory_bytes and system.LINUX else None
        self.enforced = {
            "memory_bytes": "cgroup" if self.group and memory_bytes else weaker,
            "cpu": "cgroup" if self.group and cpu else None,
        }

    def enter(self) -> None:
        """In the child, while it is still the supervisor's user."""
        if self.group:
            _write(self.group, "cgroup.procs", "0")

    def confine(self) -> None:
        """In the child, last of all."""
        if self.enforced["memory_bytes"] == "rlimit" and self.memory_bytes:
            resource.setrlimit(resource.RLIMIT_DATA, (self.memory_bytes, self.memory_bytes))

    def remove(self) -> None:
        if self.group:
            with suppress(OSError):  # somebody has moved in
                os.rmdir(self.group)


def start(argv: Sequence[str], env: Mapping[str, str], cwd: str, user: int | None, limits: Limits) -> tuple[int, int]:
    """The process, and the reading end of its output.

    Raises:
        CannotStart: one of the steps failed; nothing is left of it.
    """
    output, theirs = os.pipe()
    report, failure = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(argv, env, cwd, user, limits, parent, theirs, failure)
    os.close(theirs)
    os.close(failure)
    with open(report, "rb") as stream:
        words = stream.read()  # ends when the program takes over, as no descriptor but the standard ones outlives that
    if words:
        os.close(output)
        os.waitpid(pid, 0)
        raise CannotStart(words.decode(errors="replace"))
    return pid, output


def _become(
    argv: Sequence[str], env: Mapping[str, str], cwd: str, user: int | None, limits: Limits, parent: int, output: int, failure: int
) -> None:
    step = ""
    try:
        steps: list[tuple[str, Callable[[], object]]] = [
            ("session", lambda: _leave(output)),
            ("limits", limits.enter),
            (f"user {user}", lambda: _change_to(user)),
            ("parent", lambda: _stay_with(parent)),
            (f"cwd {cwd}", lambda: os.chdir(cwd)),
            ("limits", limits.confine),
            (f"program {argv[0]}", lambda: os.execvpe(argv[0], list(argv), dict(env))),
        ]
        for name, do in steps:
            step = name
            do()
    except BaseException as error:
        os.write(failure, f"{step}: {_words(error, step)}".encode(errors="replace")[:4000])
    finally:
        os._exit(127)


def _leave(output: int) -> None:
    os.setsid()
    _defaults()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for theirs, ours in enumerate((nothing, output, output)):
        os.dup2(ours, theirs)


def _change_to(user: int | None) -> None:
    if user is not None:
        with suppress(OSError):  # else it could not open /dev/stdout, as servers do whose log it is
            os.fchown(1, user, user)
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)


def _stay_with(parent: int) -> None:
    system.die_with_parent()
    if os.getppid() != parent:
        os._exit(0)


def _words(error: BaseException, step: str) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such folder" if step.startswith("cwd") else "no such program (or a script whose interpreter is missing)"
    if isinstance(error, PermissionError):
        return "no permission"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _defaults() -> None:
    """What is ignored here would be ignored by the program too (nohup, and Python's SIGPIPE)."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):  # of the C library's own
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _control_group(name: str, memory_bytes: int | None, cpu: float | None, root: str) -> str | None:
    """A new group beside our own: below it none can be made, a group that holds processes shares nothing out (cgroups(7))."""
    controllers = {"memory"} if memory_bytes else set()
    controllers |= {"cpu"} if cpu else set()
    parent = _parent_group(root)
    if not controllers or parent is None:
        return None
    offered = system.read(os.path.join(parent, "cgroup.subtree_control")) or b""
    if not controllers <= set(offered.decode().split()):
        return None
    group = os.path.join(parent, f"envctl-{os.getpid()}-{name}")
    try:
        os.mkdir(group)
    except OSError:
        return None
    try:
        if memory_bytes:
            _write(group, "memory.max", str(memory_bytes))
        if cpu:
            _write(group, "cpu.max", f"{int(cpu * PERIOD)} {PERIOD}")
    except OSError:
        os.rmdir(group)
        return None
    return group


def _parent_group(root: str, own: str = "/proc/self/cgroup") -> str | None:
    lines = (system.read(own) or b"").decode().splitlines()
    found = [line[3:].strip() for line in lines if line.startswith("0::")]
    if not found or found[0] == "/" or "/.." in found[0]:
        return None
    parent = os.path.dirname(root + found[0])
    # Entering needs the right to move processes out of what both groups have in common.
    return parent if os.access(os.path.join(parent, "cgroup.procs"), os.W_OK) else None


def _write(group: str, name: str, text: str) -> None:
    descriptor = os.open(os.path.join(group, name), os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
