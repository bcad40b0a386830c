"""Identify this machine and its processes, so that they are not confused with other machines, boots, namespaces or later processes.

A hostname is not enough: all hosted CI runners of one image have the same hostname.
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
    """Return an id of this machine that survives reboots, or the hostname if the system has no id (in a container)."""
    if not system.LINUX:
        return _sysctl("kern.uuid") or socket.gethostname()
    found = (_text(path) for path in MACHINE_IDS)
    return next((text for text in found if text and text != "uninitialized"), "") or socket.gethostname()


def in_container() -> bool:
    """Return whether envctl runs inside a Docker or Podman container, where all processes end with the first one."""
    return any(path.exists() for path in CONTAINER_MARKS)


def process_mark(pid: int | None = None) -> str:
    """Return the mark of a process, `machine.boot.namespace:pid:start`, which is unique; *pid* defaults to the current process."""
    pid = pid or os.getpid()
    return f"{'.'.join(_place())}:{pid}:{system.start_time(pid)}"


def process_alive(mark: str) -> bool | None:
    """Return whether the process of *mark* is running, for marks that were stored on this machine.

    A process of an earlier boot of this machine counts as ended. The result is None if the answer cannot be known: the mark is of another
    machine or another container, or is malformed.
    """
    found = owner_alive(mark)
    machine, boot, _ = _place()
    parts = mark.partition(":")[0].split(".")
    if found is None and len(parts) == 3 and parts[0] == machine and boot and parts[1] != boot:
        return False
    return found


def owner_alive(mark: str) -> bool | None:
    """Return whether the process of *mark* is running, for marks that are stored where several machines see them (a cluster, a daemon).

    Unlike in `process_alive`, the result for another boot is None: copies of a virtual machine may share a machine id, but never a boot.
    """
    place, _, rest = mark.partition(":")
    pid, _, start = rest.partition(":")
    if place != ".".join(_place()) or not pid.isdecimal():
        return None
    return bool(start) and system.start_time(int(pid)) == start


def known_here(worker: str, ours: str) -> bool:
    """Return whether the work of *worker* is recorded in this state folder: both are `STORE@MARK`, of the same store and this machine."""
    store, _, mark = worker.partition("@")
    return store == ours.partition("@")[0] and process_alive(mark) is not None


def _place() -> tuple[str, str, str]:
    """Return hashes of the machine id and the boot id, and the PID namespace; none contains dots or colons."""
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
