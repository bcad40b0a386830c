"""Who a process is, so that a later one with its number is not taken for it."""

from __future__ import annotations

import os
import socket

from envctl.keeper.system import start_time


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


def running(pid: int) -> bool:
    """Whether there is such a process; one that has ended and whom nobody has asked (a zombie) is none."""
    return bool(start_time(pid))
