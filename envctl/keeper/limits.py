"""Limits of a process: by a control group of its own where one may be made, else what the kernel offers for a single process."""

from __future__ import annotations

import os
import resource
from contextlib import suppress

from envctl.keeper import system

CGROUPS = "/sys/fs/cgroup"
PERIOD = 100_000


class Limits:
    """What is asked for, and the control group that enforces it, if any.

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


def _control_group(name: str, memory_bytes: int | None, cpu: float | None, root: str) -> str | None:
    """A new group beside our own: below it none can be made, a group that holds processes shares nothing out (cgroups(7))."""
    controllers = {"memory"} if memory_bytes else set()
    controllers |= {"cpu"} if cpu else set()
    parent = _parent_group(root)
    if not controllers or parent is None or not controllers <= _offered(parent):
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
    try:
        with open(own, encoding="utf-8") as stream:
            found = [line[3:].strip() for line in stream if line.startswith("0::")]
    except OSError:
        return None
    if not found or found[0] == "/" or "/.." in found[0]:
        return None
    parent = os.path.dirname(root + found[0])
    # Entering needs the right to move processes out of what both groups have in common.
    return parent if os.access(os.path.join(parent, "cgroup.procs"), os.W_OK) else None


def _offered(parent: str) -> set[str]:
    try:
        with open(os.path.join(parent, "cgroup.subtree_control"), encoding="utf-8") as stream:
            return set(stream.read().split())
    except OSError:
        return set()


def _write(group: str, name: str, text: str) -> None:
    descriptor = os.open(os.path.join(group, name), os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
