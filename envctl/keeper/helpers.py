"""Helper processes of the keeper: start them, exchange messages with them, restart them and stop them.

A helper runs in its own POSIX session. Its standard input is /dev/null and its output goes to the keeper's log. A helper with a
channel gets the number of a socket's descriptor as its last argument and exchanges JSON lines over it. When the socket closes, the
helper has to end, so that it does not outlive a keeper that was killed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from envctl.keeper import system
from envctl.keeper.channel import Channel

GRACE = 5.0
"""Seconds that a helper has to end after the first request, and again after SIGTERM to its process group."""
CERTAIN = 10.0
"""Seconds to wait for processes that were killed to disappear."""


class Policy(NamedTuple):
    """When a helper is restarted."""

    pauses: tuple[float, ...] = ()
    """Seconds before each restart; the last value also applies to all later ones. Without values there is no restart."""
    patience: float | None = None
    """Seconds for all attempts together, after which the helper is killed and not restarted; None for no limit."""
    lasting: bool = False
    """Whether the helper is also restarted after exit status 0."""


ONCE = Policy()
"""The policy without restarts."""


class Helpers:
    """The child processes that the keeper itself has started, as opposed to orphans that it has adopted as a subreaper.

    A thread waits for each of these children, so the keeper's loop, which reaps and kills orphans, must not touch them.

    Args:
        say: writes a line to the keeper's log.
        wake: called when a helper is over; wakes the keeper's loop.
    """

    def __init__(self, say: Callable[[str], None], wake: Callable[[], None] = lambda: None) -> None:
        self.say, self.wake = say, wake
        self._lock = threading.Lock()
        self._pids: set[int] = set()
        self._helpers: set[Helper] = set()

    def pids(self) -> Collection[int]:
        """Return the process ids of the children. Wait while a child is being started, as it would otherwise look like an orphan."""
        with self._lock:
            return tuple(self._pids)

    def launch(self, argv: Sequence[str], env: Mapping[str, str | None], channel: socket.socket | None) -> subprocess.Popen[bytes]:
        """Start a process in its own session, with the keeper's log as its output.

        Args:
            env: variables that are added to the keeper's own environment; None removes a variable.
            channel: the process's end of a socket, whose descriptor becomes its last argument; None for a process without a channel.

        Raises:
            OSError: the process cannot be started.
        """
        passed = [] if channel is None else [channel.fileno()]
        return self._open([*argv, *map(str, passed)], env, pass_fds=passed, cwd="/")

    def _open(self, argv: Sequence[str], env: Mapping[str, str | None], **more: Any) -> subprocess.Popen[bytes]:
        given = {name: value for name, value in (os.environ | env).items() if value is not None}
        with self._lock:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, env=given, start_new_session=True, **more)
            self._pids.add(process.pid)
        return process

    def reap(self, process: subprocess.Popen[bytes]) -> int:
        """Reap a process that has ended and return its exit status. The system may reuse its process id from then on."""
        with self._lock:
            status = process.wait()
            self._pids.discard(process.pid)
        return status

    def run(self, argv: Sequence[str], env: Mapping[str, str], patience: float) -> subprocess.CompletedProcess[bytes]:
        """Run a short program and return its exit status with its standard output and standard error.

        Args:
            env: variables that are added to the keeper's own environment.
            patience: seconds after which the program is killed.

        Raises:
            OSError: the program cannot be started.
            subprocess.TimeoutExpired: the program was killed after *patience* seconds.
        """
        process = self._open(argv, env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with process:
            try:
                output, errors = process.communicate(timeout=patience)
            finally:
                if process.returncode is None:
                    system.send(process.pid, signal.SIGKILL, os.killpg)
                self.reap(process)
        return subprocess.CompletedProcess(argv, process.returncode, output, errors)

    def add(self, helper: Helper) -> None:
        """Register a helper for `stop`."""
        with self._lock:
            self._helpers.add(helper)

    def forget(self, helper: Helper) -> None:
        """Remove a helper that is over from those that `stop` stops."""
        with self._lock:
            self._helpers.discard(helper)

    def stop(self, grace: float = GRACE) -> None:
        """Stop all helpers in parallel, with *grace* seconds for each step of `Helper.stop`."""
        with self._lock:
            threads = [threading.Thread(target=helper.stop, args=(grace,)) for helper in self._helpers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class Helper:
    """A helper process that runs or is about to be restarted. A thread waits for it until it is over.

    Args:
        name: the name in the log.
        argv: the command.
        env: variables that are added to the keeper's own environment; None removes a variable.
        policy: when the helper is restarted.
        told: called with each message from the helper; without it, the helper has no channel.
        ended: called when the helper is over, with the last exit status, or None if the helper could not be started.

    Attributes:
        over: set once the helper has ended and will not be restarted.

    Raises:
        OSError: the helper cannot be started, and its policy allows no restart.
    """

    def __init__(
        self,
        helpers: Helpers,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str | None] | None = None,
        policy: Policy = ONCE,
        told: Callable[[dict[str, Any]], None] | None = None,
        ended: Callable[[int | None], None] = lambda status: None,
    ) -> None:
        self._helpers, self._name, self._argv, self._env, self._policy = helpers, name, [*argv], {**(env or {})}, policy
        self._told, self._ended = told, ended
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._stopping, self.over = threading.Event(), threading.Event()
        self._attempts = 0
        helpers.add(self)
        try:
            self._launch()
        except OSError:
            helpers.forget(self)
            raise
        threading.Thread(target=self._live, name=name, daemon=True).start()

    @property
    def pid(self) -> int | None:
        """The process id; None while no process runs."""
        process = self._process
        return process.pid if process else None

    def send(self, message: dict[str, Any]) -> None:
        """Send a message over the helper's channel.

        Raises:
            OSError: the helper has ended or has closed its channel.
        """
        channel = self._channel
        if channel is None:
            raise BrokenPipeError(f"{self._name} has ended")
        channel.send(message)

    def stop(self, grace: float = GRACE) -> None:
        """Stop the helper for good: close its channel or send SIGTERM, then SIGTERM to its process group, then SIGKILL to its tree.

        Args:
            grace: seconds to wait after the first step. The wait after the second step is the same, but at most GRACE seconds.
        """
        self._stopping.set()
        if self._channel is None:
            self._signal(signal.SIGTERM, os.kill)
        else:
            self._channel.shut()
        if self.over.wait(grace):
            return
        self._signal(signal.SIGTERM, os.killpg)
        if not self.over.wait(min(grace, GRACE)):
            self.kill()
            self.over.wait(CERTAIN)

    def kill(self) -> None:
        """Kill the current process and all its descendants. The policy decides whether the helper is restarted."""
        if (pid := self.pid) is not None:
            system.kill_all(lambda table: system.with_descendants([pid], table), patience=CERTAIN)

    def _launch(self) -> None:
        ours, theirs = socket.socketpair() if self._told else (None, None)
        try:
            with self._lock:
                if self._stopping.is_set():
                    return
                self._process = self._helpers.launch(self._argv, self._env, theirs)
                self._channel = Channel(ours) if ours else None
                ours = None
        except OSError as error:
            self._helpers.say(f"{self._name}: cannot start: {error}")
            if not self._policy.pauses:
                raise
        finally:
            for end in filter(None, (ours, theirs)):
                end.close()

    def _live(self) -> None:
        timer = threading.Timer(self._policy.patience or 0.0, self._out_of_time)
        timer.daemon = True
        if self._policy.patience is not None:
            timer.start()
        status = self._follow()
        while self._again(status):
            with suppress(OSError):
                self._launch()
            status = self._follow()
        timer.cancel()
        self._helpers.forget(self)
        try:
            self._ended(status)
        finally:
            self.over.set()
            self._helpers.wake()

    def _follow(self) -> int | None:
        """Handle messages until the process has ended, kill the rest of its process group, and return its exit status."""
        process, channel = self._process, self._channel
        if process is None:
            return None
        while channel is not None and (messages := channel.receive()) is not None:
            for message in messages:
                self._take(message)
        if system.LINUX:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie keeps its process id from being reused
        else:
            process.wait()
        system.send(process.pid, signal.SIGKILL, os.killpg)
        with self._lock:
            self._process = self._channel = None
            status = self._helpers.reap(process)
        if channel is not None:
            channel.close()
        self._helpers.say(f"{self._name}: exit status {status}")
        return status

    def _take(self, message: dict[str, Any]) -> None:
        assert self._told is not None
        try:
            self._told(message)
        except Exception as error:  # an error in a handler must not end the thread that waits for the process
            self._helpers.say(f"{self._name}: {type(error).__name__}: {error}")

    def _again(self, status: int | None) -> bool:
        """Wait for the pause of the policy and return whether the helper is to be restarted."""
        pauses = self._policy.pauses
        if self._stopping.is_set() or not pauses or (status == 0 and not self._policy.lasting):
            return False
        pause = pauses[min(self._attempts, len(pauses) - 1)]
        self._attempts += 1
        return not self._stopping.wait(pause)

    def _out_of_time(self) -> None:
        self._stopping.set()
        self.kill()

    def _signal(self, number: int, how: Callable[[int, int], None]) -> None:
        with self._lock:
            if self._process is not None:
                system.send(self._process.pid, number, how)
