"""Kill `envctl test` while a tool runs, and find what is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 180.0
"""Seconds to wait for a tool to start on a busy machine, and for everything to be removed."""


def what_is_left(command: Sequence[str], sign: str, containers: bool = False) -> list[str]:
    """Start *command*, kill it once a process with *sign* in its command line runs, and return what is left.

    Args:
        containers: Whether to wait also for a container that the tests start.
    """
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            id = _until(lambda: _instance(process.pid), "an instance")
            _until(lambda: any(sign in line for line in _processes(id).values()), f"a process with '{sign}'")
            if containers:
                _until(lambda: _containers(id, own=True), "a container of the tests")
        except TimeoutError as error:
            process.send_signal(signal.SIGTERM)
            return [f"no trace of {error}"]
        process.kill()
    with suppress(TimeoutError):
        _until(lambda: not (_processes(id) or _containers(id)), "the end")
    return [*_processes(id).values(), *_containers(id)]


def _until(look: Callable[[], T], what: str) -> T:
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.1)
    return found


def _instance(pid: int) -> str:
    """Return the id of the instance that the command *pid* has started, from the environment of the test process."""
    for child in _children(pid):
        with suppress(OSError):
            entries = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            for entry in entries:
                if entry.startswith(b"ENVCTL_INSTANCE="):
                    return entry.partition(b"=")[2].decode()
    return ""


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    return []


def _processes(id: str) -> dict[int, str]:
    """Return the command lines of the test processes of instance *id*, by process id; a common variable marks them."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"ENVCTL_INSTANCE={id}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return {pid: line for pid, line in found.items() if line and pid != os.getpid()}


def _containers(id: str, own: bool = False) -> list[str]:
    """Return the names of the containers of instance *id*; with *own*, only those that its tests have started."""
    if shutil.which("docker") is None:
        return []
    command = ["docker", "ps", "--all", "--filter", f"label=envctl.instance={id}", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    return [entry["Names"] for entry in entries if not own or "com.docker.compose.project" not in entry["Labels"]]


if sys.platform != "linux":
    raise SystemExit("what is left is looked for in /proc, which only Linux has")
