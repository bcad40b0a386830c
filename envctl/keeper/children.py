"""The keeper's own child processes: those that it has started, unlike the orphans that come to it as to a subreaper.

Somebody waits for each of them; the keeper's loop, which reaps and kills orphans, must leave them alone.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Collection, Mapping, Sequence

from envctl.keeper import system


class Children:
    """Those that run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pids: set[int] = set()

    def pids(self) -> Collection[int]:
        """One that is being started at this moment is waited for, so that nobody sees it and takes it for an orphan."""
        with self._lock:
            return tuple(self._pids)

    def launch(self, argv: Sequence[str], env: Mapping[str, str | None], channel: socket.socket | None) -> subprocess.Popen[bytes]:
        """A process in a session of its own, which says what it has to say to the keeper's log.

        Args:
            env: what is added to the keeper's own environment; None takes a variable away.
            channel: its end of a socket, whose descriptor is its last argument.

        Raises:
            OSError: it cannot be started.
        """
        given = {name: value for name, value in (os.environ | env).items() if value is not None}
        passed = [] if channel is None else [channel.fileno()]
        with self._lock:
            process = subprocess.Popen(
                [*argv, *map(str, passed)], stdin=subprocess.DEVNULL, pass_fds=passed, cwd="/", env=given, start_new_session=True
            )
            self._pids.add(process.pid)
        return process

    def reap(self, process: subprocess.Popen[bytes]) -> int:
        """The exit status of a process that has ended; its number may go to another one from then on."""
        with self._lock:
            status = process.wait()
            self._pids.discard(process.pid)
        return status

    def run(self, argv: Sequence[str], env: Mapping[str, str], patience: float) -> subprocess.CompletedProcess[bytes]:
        """A program that ends soon, with what it says on both outputs.

        Raises:
            OSError: it cannot be started.
            subprocess.TimeoutExpired: it was killed, after *patience* seconds.
        """
        with self._lock:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | env, start_new_session=True
            )
            self._pids.add(process.pid)
        with process:
            try:
                output, errors = process.communicate(timeout=patience)
            finally:
                if process.returncode is None:
                    system.send(process.pid, signal.SIGKILL, os.killpg)
                self.reap(process)
        return subprocess.CompletedProcess(argv, process.returncode, output, errors)
