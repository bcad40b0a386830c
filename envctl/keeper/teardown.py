"""Running the command that removes an instance, until it succeeds or time is up."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, repeat

from envctl.keeper import system

PAUSES = (1.0, 2.0, 5.0, 10.0)
LAST_PAUSE = 30.0
PATIENCE = 600.0


class Teardown:
    """The command, and the process that runs it at the moment.

    Args:
        wait: returns after at most so many seconds, earlier when a child has ended; False to give up.
        say: for the log.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], wait: Callable[[float], bool], say: Callable[[str], None]) -> None:
        self._command, self._env, self._wait, self._say = command, env, wait, say
        self.process: subprocess.Popen[bytes] | None = None

    def run(self) -> bool:
        """Whether it succeeded."""
        until = time.monotonic() + PATIENCE
        for pause in chain(PAUSES, repeat(LAST_PAUSE)):
            status = self._attempt(until)
            self._say(f"teardown: {'cannot start' if status is None else f'exit status {status}'}")
            if status == 0:
                return True
            if time.monotonic() + pause > until or not self._sleep(pause):
                break
        return False

    def _attempt(self, until: float) -> int | None:
        try:
            self.process = subprocess.Popen(
                self._command, env=os.environ | dict(self._env), cwd="/", stdin=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            self._say(f"teardown: {error}")
            return None
        while self.process.poll() is None:
            if (left := until - time.monotonic()) <= 0 or not self._wait(left):
                break
        if self.process.poll() is None and time.monotonic() >= until:
            system.send(self.process.pid, signal.SIGKILL, os.killpg)
        return self.process.poll()

    def _sleep(self, pause: float) -> bool:
        until = time.monotonic() + pause
        while (left := until - time.monotonic()) > 0:
            if not self._wait(left):
                return False
        return True
