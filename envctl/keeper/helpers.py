"""Helper processes of the keeper: the one way to start them, to talk with them, to start them again, and to end them.

A helper is a program in a session of its own, with nothing on its standard input, and the keeper's log as its output. One that is
listened to gets the number of a descriptor as its last argument: JSON lines in both directions. The end of that socket tells it to
end, so that it does not outlive a keeper that was killed.
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
"""Seconds that a helper has to end when it is asked to, and again when it is told to."""
CERTAIN = 10.0
"""Seconds after which what was killed is not waited for any longer."""


class Policy(NamedTuple):
    """Whether a helper is started again."""

    pauses: tuple[float, ...] = ()
    """Seconds before each further attempt, the last of them before all that follow. Without any, it runs once."""
    patience: float | None = None
    """Seconds for all attempts together; what runs then is killed, and not started again."""
    lasting: bool = False
    """It is there for as long as the keeper, so that an exit status of 0 is no reason not to start it again."""


ONCE = Policy()


class Helpers:
    """All that a keeper itself has started, unlike the orphans that come to it as to a subreaper.

    Somebody waits for each child; the keeper's loop, which reaps and kills orphans, must leave them alone.

    Args:
        say: for the log.
        wake: called when one is over, for a loop that waits.
    """

    def __init__(self, say: Callable[[str], None], wake: Callable[[], None] = lambda: None) -> None:
        self.say, self.wake = say, wake
        self._lock = threading.Lock()
        self._pids: set[int] = set()
        self._helpers: set[Helper] = set()

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
        passed = [] if channel is None else [channel.fileno()]
        return self._open([*argv, *map(str, passed)], env, pass_fds=passed, cwd="/")

    def _open(self, argv: Sequence[str], env: Mapping[str, str | None], **more: Any) -> subprocess.Popen[bytes]:
        given = {name: value for name, value in (os.environ | env).items() if value is not None}
        with self._lock:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, env=given, start_new_session=True, **more)
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
        with self._lock:
            self._helpers.add(helper)

    def forget(self, helper: Helper) -> None:
        with self._lock:
            self._helpers.discard(helper)

    def stop(self, grace: float = GRACE) -> None:
        """Ends them all at once, each within its grace."""
        with self._lock:
            threads = [threading.Thread(target=helper.stop, args=(grace,)) for helper in self._helpers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class Helper:
    """A program that runs, or is about to be tried again; a thread follows it until it is over.

    Args:
        name: for the log.
        env: what is added to the keeper's own environment; None takes a variable away.
        told: called with each message of its channel, which it has where this is given.
        ended: called when it is over, with its last exit status; None where it could not be started.

    Attributes:
        over: set once it has ended, and will not be started again.

    Raises:
        OSError: it cannot be started, and its policy knows no second attempt.
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
        """None while no process of it runs."""
        process = self._process
        return process.pid if process else None

    def send(self, message: dict[str, Any]) -> None:
        """
        Raises:
            OSError: it does not listen any more.
        """
        channel = self._channel
        if channel is None:
            raise BrokenPipeError(f"{self._name} has ended")
        channel.send(message)

    def stop(self, grace: float = GRACE) -> None:
        """Ends it for good: politely (the end of its channel, or SIGTERM), then firmly (SIGTERM to its group), then for certain."""
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
        """Ends the process that runs, and all below it, at once; its policy says what comes after that."""
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
        """The exit status, once its process and what that has left in its group are gone."""
        process, channel = self._process, self._channel
        if process is None:
            return None
        while channel is not None and (messages := channel.receive()) is not None:
            for message in messages:
                self._take(message)
        if system.LINUX:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # as long as it is a zombie, its number is nobody else's
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
        except Exception as error:  # a mistake of ours must not leave the process without anybody who waits for it
            self._helpers.say(f"{self._name}: {type(error).__name__}: {error}")

    def _again(self, status: int | None) -> bool:
        """Whether it is to be started once more, after its pause."""
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
