"""Who an instance is: its id, made of its name and of whoever brings it up; and who a process is, so that no later one is taken for it."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import socket
from pathlib import Path

from envctl.keeper.system import start_time

ID = re.compile(r"[a-z0-9-]{1,48}-[0-9a-f]{6}")
"""What `instance_id` gives."""


def instance_id(name: str, project: Path) -> str:
    """The name, fit for Compose and Kubernetes, and six digits of project folder, user and host."""
    key = hashlib.sha256("\0".join((os.path.realpath(project), user_name(), socket.gethostname())).encode()).hexdigest()[:6]
    return f"{re.sub(r'[^a-z0-9-]', '-', name.lower())}-{key}"


def user_name() -> str:
    """The user's; the number where nobody knows a name (a container with a foreign uid)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def user_key(folder: Path) -> str:
    """What tells this user of this machine from others, and names neither; who has another *folder* for the same is another one, too."""
    return hashlib.sha256("\0".join((user_name(), socket.gethostname(), str(folder))).encode()).hexdigest()[:16]


def process_mark(pid: int | None = None) -> str:
    """`host:pid:start`, which no later process of this machine shares."""
    pid = pid or os.getpid()
    return f"{socket.gethostname()}:{pid}:{start_time(pid)}"


def process_alive(mark: str) -> bool | None:
    """Whether the process of *mark* runs; None where it is another machine's, or no mark of ours."""
    host, _, rest = mark.partition(":")
    pid, _, start = rest.partition(":")
    if host != socket.gethostname() or not pid.isdecimal():
        return None
    return bool(start) and start_time(int(pid)) == start
