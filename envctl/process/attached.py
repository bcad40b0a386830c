"""Run a command while a caller receives its output as it comes, and can send it signals."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

PIECE = 1 << 16
LOOK_SECONDS = 0.1
"""The seconds between two checks whether the caller still accepts the output."""


@dataclass
class Attached:
    """The caller's connection to a running command.

    Attributes:
        out, err: called with pieces of stdout and stderr, from any thread; a place that has only one stream uses *out*.
    """

    out: Callable[[bytes], object]
    err: Callable[[bytes], object]
    _send: Callable[[int], object] | None = None
    _waiting: list[int] = field(default_factory=list)
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def begins(self, send: Callable[[int], object]) -> None:
        """Register that the command has started; *send* sends it a signal number. Signals that were requested earlier are sent now."""
        with self._changing:
            self._send, waiting = send, self._waiting
        for number in waiting:
            send(number)

    def signal(self, number: int) -> None:
        """Send the signal *number* to the command, as soon as the command runs."""
        with self._changing:
            if self._send is None:
                self._waiting.append(number)
                return
        self._send(number)


def run_attached(
    argv: Sequence[str], env: Mapping[str, str], attached: Attached, *, cwd: str | None = None, user: int | None = None,
    send: Callable[[int], object] | None = None, ended: Callable[[], object] = lambda: None,
) -> int:  # fmt: skip
    """Run *argv* and return its exit code, or 128 + n if signal n ended it.

    Args:
        cwd: the working folder; by default that of this process.
        user: the number of the user and of the group to run as; by default those of this process.
        send: sends the command a signal; by default the signal goes to its process group.
        ended: called when the command has ended; processes that it left behind could otherwise hold its output open for ever.

    Raises:
        OSError: the command cannot be started.
        Exception: the exception that *attached* raised when it received output.
    """
    process = subprocess.Popen(
        argv, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        user=user, group=user, extra_groups=[] if user is not None else None,
    )  # fmt: skip
    try:
        attached.begins(send or (lambda number: _signal_group(process.pid, number)))
        _hand_over(process, attached, ended)
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _hand_over(process: subprocess.Popen[bytes], attached: Attached, ended: Callable[[], object]) -> None:
    """Pass all output of *process* to *attached*, however slowly *attached* accepts it."""
    assert process.stdout is not None
    assert process.stderr is not None
    failed: list[BaseException] = []
    readers = [
        threading.Thread(target=_read, args=(stream, give, failed), daemon=True)
        for stream, give in ((process.stdout, attached.out), (process.stderr, attached.err))
    ]
    for reader in readers:
        reader.start()
    while process.poll() is None and not failed:
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_SECONDS)
    ended()
    _signal_group(process.pid, signal.SIGKILL)
    for reader in readers:
        reader.join()
    if failed:
        raise failed[0]


def _read(stream: IO[bytes], give: Callable[[bytes], object], failed: list[BaseException]) -> None:
    try:
        with stream:
            while piece := os.read(stream.fileno(), PIECE):
                give(piece)
    except BaseException as error:
        failed.append(error)


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
