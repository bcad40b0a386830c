"""Start a local process within its limits: a child in its own session, which is killed when the thread that started it ends.

The module calls fork and exec itself, so that the error of each step can be reported. This is safe because the supervisor has only
one thread.
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
"""The period of a CPU limit, in microseconds."""


class CannotStart(Exception):
    """A process cannot be started; the text names the step and the reason."""


class Limits:
    """The limits of a process, enforced by a new control group, or by the kernel's limits for a single process if none can be created.

    Args:
        name: the name of the process.
        memory_bytes: the limit of its memory; None for no limit.
        cpu: the limit of its processor time, as a number of processors; None for no limit.
        root: the folder in which the cgroup file system is mounted.

    Attributes:
        enforced: how `memory_bytes` and `cpu` are enforced: `cgroup`, `rlimit` (writable memory of each process by itself) or None.
    """

    def __init__(self, name: str, memory_bytes: int | None = None, cpu: float | None = None, root: str = CGROUPS) -> None:
        self.memory_bytes, self.cpu = memory_bytes, cpu
        self.group = _control_group(name, memory_bytes, cpu, root)
        # RLIMIT_DATA limits writable memory. A limit of the address space would not work: Go and Node reserve many gigabytes of it.
        # macOS does not let a process set this limit.
        weaker = "rlimit" if memory_bytes and system.LINUX else None
        self.enforced = {
            "memory_bytes": "cgroup" if self.group and memory_bytes else weaker,
            "cpu": "cgroup" if self.group and cpu else None,
        }

    def enter(self) -> None:
        """Join the control group. Called in the child, while it still runs as the supervisor's user.

        Raises:
            OSError: the kernel refuses it.
        """
        if self.group:
            _write(self.group, "cgroup.procs", "0")

    def confine(self) -> None:
        """Set the kernel's limit for a single process. Called in the child, as the last step before exec.

        Raises:
            OSError, ValueError: the kernel refuses it.
        """
        if self.enforced["memory_bytes"] == "rlimit" and self.memory_bytes:
            resource.setrlimit(resource.RLIMIT_DATA, (self.memory_bytes, self.memory_bytes))

    def remove(self) -> None:
        """Remove the control group."""
        if self.group:
            with suppress(OSError):  # another process may have been moved into the group
                os.rmdir(self.group)


def start(argv: Sequence[str], env: Mapping[str, str], cwd: str, user: int | None, limits: Limits) -> tuple[int, int]:
    """Start a program; return its process id and the reading end of its output.

    Args:
        env: all of its environment.
        cwd: its working directory.
        user: its user id, which is also its group id; None for those of this process.

    Raises:
        CannotStart: a step failed; the child has ended.
        OSError: there are no processes or descriptors left.
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
        words = stream.read()  # reads until exec, which closes all descriptors except the standard ones
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
        with suppress(OSError):  # servers that open /dev/stdout as their log file need to own it
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
    """Reset all signal handlers: exec keeps ignored signals ignored, such as SIGHUP after nohup and SIGPIPE in Python."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):  # signals that the C library uses itself
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _control_group(name: str, memory_bytes: int | None, cpu: float | None, root: str) -> str | None:
    """Create a control group beside this process's own group; None if that is impossible or not needed.

    A group below its own would have no controllers, because the process's own group contains processes (cgroups(7)).
    """
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
    # To join a group, a process needs write access to `cgroup.procs` of the common ancestor of both groups.
    return parent if os.access(os.path.join(parent, "cgroup.procs"), os.W_OK) else None


def _write(group: str, name: str, text: str) -> None:
    descriptor = os.open(os.path.join(group, name), os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
