"""The supervisor: parent and subreaper of an instance's local processes. When the keeper's end of the socket closes, it kills them all.

The keeper sends `start`, `stop` and `stop_all`, each with an `id` that the answer repeats. When a process has ended, its whole tree is
gone and its output is in the log, the supervisor sends {"end": name, "status": n} by itself.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any

from envctl.keeper import process_marks, system
from envctl.keeper.channel import Channel
from envctl.keeper.spawn import CannotStart, Limits, start
from envctl.keeper.wakeup import Wakeup

CHUNK = 1 << 16
PIPE = 1 << 20
"""The most bytes that a pipe can hold, and thus that an ended process can have left in it."""
PAUSE = 0.005
LONGEST_PAUSE = 0.5
"""The first and the longest pause between two attempts to kill a process's tree, in seconds."""
LOG_LIMIT = 10 * 1024 * 1024
"""The largest size of a log file, in bytes."""
OLDER = ".1"
"""The suffix of the older log file."""


class Log:
    """The log file of a process, of limited size, with one older file beside it.

    Output that cannot be written is dropped, so that the process is not blocked.

    Args:
        path: the file, which may exist already.
        limit: the largest size of the file, in bytes.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str, limit: int = LOG_LIMIT) -> None:
        self.path, self.limit = path, limit
        self._open()

    def _open(self) -> None:
        self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        self.size = os.fstat(self.descriptor).st_size

    def write(self, data: bytes) -> None:
        """Append data. A file that would become too large is first renamed to the older file."""
        if self.size and self.size + len(data) > self.limit:
            self._rotate()
        with suppress(OSError):
            self.size += os.write(self.descriptor, data)

    def _rotate(self) -> None:
        before = self.descriptor
        try:
            os.replace(self.path, self.path + OLDER)
            self._open()
        except OSError:  # the folder is gone, but the open file must not grow without limit
            os.ftruncate(before, 0)
            self.size = 0
        else:
            os.close(before)

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)


class Child:
    """A local process with all its descendants."""

    def __init__(self, name: str, pid: int, output: int, log: Log, limits: Limits, stop_signal: int) -> None:
        self.name, self.pid, self.output, self.log, self.limits, self.stop_signal = name, pid, output, log, limits, stop_signal
        self.status: int | None = None
        self.deadline: float | None = None
        """The time (of time.monotonic) at which the process is killed; None if no stop was requested."""
        self.next_kill: float | None = None
        """The time (of time.monotonic) of the next attempt to kill the rest of the tree; None before the first."""
        self.pause = PAUSE
        self.waiting: list[int] = []

    def end_now(self) -> None:
        """Kill the tree at the next turn of the loop."""
        self.deadline, self.next_kill = None, 0.0


class Supervisor:
    """The supervisor's loop. It has only one thread, because the processes are killed when the thread that started them ends.

    Args:
        stream: the socket to the keeper.
        mark: the value of ENVCTL_MARK in the environment of the processes.
    """

    def __init__(self, stream: socket.socket, mark: str) -> None:
        self.channel, self.mark = Channel(stream), mark
        self.children: dict[str, Child] = {}
        self.stopping: list[int] = []
        self.open = True
        self.wakeup = Wakeup([signal.SIGCHLD])
        self.selector = selectors.DefaultSelector()
        self.selector.register(stream, selectors.EVENT_READ, self._requests)
        self.selector.register(self.wakeup.reader, selectors.EVENT_READ, self._reap)

    def run(self) -> None:
        """Handle requests and ends of processes until the keeper's end of the socket closes; then kill everything."""
        while self.open:
            for key, _ in self.selector.select(self._patience()):
                key.data()
            self._advance()
        self._end()

    def _patience(self) -> float | None:
        times = [moment for child in self.children.values() for moment in (child.deadline, child.next_kill) if moment is not None]
        return max(min(times) - time.monotonic(), 0.0) if times else None

    def _requests(self) -> None:
        messages = self.channel.receive()
        if messages is None:
            self.open = False
        for message in messages or []:
            {"start": self._start, "stop": self._stop, "stop_all": self._stop_all}[message["do"]](message)

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self.channel.send(message)
        except OSError:
            self.open = False

    def _start(self, message: dict[str, Any]) -> None:
        name = message["name"]
        try:
            child = self._started(name, message)
        except CannotStart as error:
            self._tell({"id": message["id"], "error": str(error)})
        else:
            self.children[name] = child
            self.selector.register(child.output, selectors.EVENT_READ, lambda: self._copy(child))
            self._tell({"id": message["id"], "pid": child.pid, "enforced": child.limits.enforced})

    def _started(self, name: str, message: dict[str, Any]) -> Child:
        try:
            log = Log(message["log"])
        except OSError as error:
            raise CannotStart(f"log {message['log']}: {error.strerror}") from None
        limits = Limits(name, **message["limits"])
        env = message["env"] | {process_marks.MARK: self.mark, process_marks.PROCESS: name}
        env.pop(process_marks.SUPERVISOR, None)
        try:
            pid, output = start(message["argv"], env, message["cwd"], message["user"], limits)
        except (CannotStart, OSError) as error:  # OSError: no processes or descriptors are left
            log.close()
            limits.remove()
            raise CannotStart(getattr(error, "strerror", None) or str(error)) from None
        os.set_blocking(output, False)
        return Child(name, pid, output, log, limits, message["stop_signal"])

    def _stop(self, message: dict[str, Any]) -> None:
        child = self.children.get(message["name"])
        if child is None:
            self._tell({"id": message["id"]})
            return
        child.waiting.append(message["id"])
        self._send_away(child, message["grace"])

    def _stop_all(self, message: dict[str, Any]) -> None:
        self.stopping.append(message["id"])
        for name, child in self.children.items():
            self._send_away(child, message["grace"].get(name, 0))

    def _send_away(self, child: Child, grace: float) -> None:
        if child.next_kill is not None:
            return  # the tree is already being killed
        if grace <= 0:
            child.end_now()
            return
        if child.deadline is None:
            system.send(child.pid, child.stop_signal, os.killpg)
            system.send(child.pid, signal.SIGCONT, os.killpg)  # a stopped process handles no signals
        until = time.monotonic() + grace
        child.deadline = until if child.deadline is None else min(until, child.deadline)

    def _copy(self, child: Child) -> int:
        """Copy one chunk of output to the log and return its size. A program that writes faster blocks until the pipe has room."""
        try:
            data = os.read(child.output, CHUNK)
        except BlockingIOError:
            return 0
        if data:
            child.log.write(data)
        elif child.output in self.selector.get_map():
            self.selector.unregister(child.output)  # the process has closed its output but may still run
        return len(data)

    def _reap(self) -> None:
        self.wakeup.drain()
        mains = {child.pid: child for child in self.children.values()}
        with suppress(ChildProcessError):  # no children are left
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                if child := mains.get(ended[0]):
                    code = os.waitstatus_to_exitcode(ended[1])
                    child.status = code if code >= 0 else 128 - code
                    child.end_now()
        for child in mains.values():
            if child.next_kill is not None:
                child.next_kill = 0.0

    def _advance(self) -> None:
        now = time.monotonic()
        for child in list(self.children.values()):
            if child.deadline is not None and now >= child.deadline:
                child.end_now()
            if child.next_kill is not None and now >= child.next_kill:
                self._clear(child)
        if not self.children:
            for id in self.stopping:
                self._tell({"id": id})
            self.stopping.clear()

    def _clear(self, child: Child) -> None:
        left = system.kill(lambda table: self._members(child, table))
        if not left and child.status is not None:
            self._finish(child)
            return
        child.next_kill = time.monotonic() + child.pause
        child.pause = min(2 * child.pause, LONGEST_PAUSE)

    def _members(self, child: Child, table: system.Table) -> set[int]:
        """Return the process ids of a child's tree: found by descent, by session, and by the name in a daemon's environment."""
        me = os.getpid()
        mine = system.descendants(me, table)
        if len(self.children) == 1:  # then every descendant of the supervisor belongs to this child
            return mine | self._marked(child, None)
        others = {other.pid for other in self.children.values()} - {child.pid}
        adopted = {pid for pid in mine if table[pid].parent == me and pid not in others}
        roots = {pid for pid in adopted if child.pid in (pid, table[pid].session, table[pid].group)}
        return system.with_descendants(roots | self._marked(child, adopted - roots), table) - others

    def _marked(self, child: Child, among: set[int] | None) -> set[int]:
        if system.LINUX and among is None:
            return set()
        found = system.variables([process_marks.MARK, process_marks.PROCESS], among if system.LINUX else None)
        return {pid for pid, values in found.items() if values == {process_marks.MARK: self.mark, process_marks.PROCESS: child.name}}

    def _finish(self, child: Child) -> None:
        del self.children[child.name]
        self._drain(child)
        child.limits.remove()
        self._tell({"end": child.name, "status": child.status})
        for id in child.waiting:
            self._tell({"id": id})

    def _drain(self, child: Child) -> None:
        """Copy what is left in the pipe to the log, and no more: an unrelated process may hold the other end and keep writing."""
        copied = 0
        while copied < PIPE and (size := self._copy(child)):
            copied += size
        if child.output in self.selector.get_map():
            self.selector.unregister(child.output)
        os.close(child.output)
        child.log.close()

    def _end(self) -> None:
        me = os.getpid()
        system.kill_all(lambda table: system.descendants(me, table), self._reap)
        if not system.LINUX:
            process_marks.kill_marked(self.mark)


def main(descriptor: int) -> None:
    """Run the supervisor with the socket *descriptor* to the keeper; the mark is in the variable ENVCTL_SUPERVISOR."""
    os.set_inheritable(descriptor, False)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    system.become_subreaper()
    Supervisor(socket.socket(fileno=descriptor), os.environ[process_marks.SUPERVISOR]).run()
    sys.stdout.flush()
    os._exit(0)
