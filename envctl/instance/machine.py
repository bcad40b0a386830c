"""This machine, and its processes: who they are, so that no other machine, boot, namespace or later process is taken for them.

A hostname says little: all hosted runners of an image have the same one.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
from functools import cache
from pathlib import Path

from envctl.keeper import system

MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def machine_id() -> str:
    """What stays over reboots; the hostname where the system has no id (a container)."""
    if not system.LINUX:
        return _sysctl("kern.uuid") or socket.gethostname()
    found = (_text(path) for path in MACHINE_IDS)
    return next((text for text in found if text and text != "uninitialized"), "") or socket.gethostname()


def in_container() -> bool:
    """Whether the whole machine, as far as it is seen, is a container of Docker or Podman: with its first process, everything ends."""
    return any(path.exists() for path in CONTAINER_MARKS)


def process_mark(pid: int | None = None) -> str:
    """`machine.boot.namespace:pid:start`, which no other process shares."""
    pid = pid or os.getpid()
    return f"{'.'.join(_place())}:{pid}:{system.start_time(pid)}"


def process_alive(mark: str) -> bool | None:
    """Whether the process of *mark* runs; None where that cannot be told: another machine's, another container's, or no mark of ours.

    For what is known on this machine alone: a mark of an earlier boot is that of a process which has ended.
    """
    found = owner_alive(mark)
    machine, boot, _ = _place()
    parts = mark.partition(":")[0].split(".")
    if found is None and len(parts) == 3 and parts[0] == machine and boot and parts[1] != boot:
        return False
    return found


def owner_alive(mark: str) -> bool | None:
    """The same for what machines share, a cluster or a daemon: copies of one machine may have its id, but never its boot."""
    place, _, rest = mark.partition(":")
    pid, _, start = rest.partition(":")
    if place != ".".join(_place()) or not pid.isdecimal():
        return None
    return bool(start) and system.start_time(int(pid)) == start


def _place() -> tuple[str, str, str]:
    """Machine, boot and the namespace of process numbers, without dots and colons."""
    return _digest(machine_id()), _digest(_boot_id()), _namespace()


def _boot_id() -> str:
    return _text(BOOT_ID) if system.LINUX else _sysctl("kern.bootsessionuuid")


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else ""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


@cache
def _sysctl(name: str) -> str:
    try:
        return subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
