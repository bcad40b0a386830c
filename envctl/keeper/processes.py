"""The keeper's table of local processes: start and stop them by name, and report their ends to clients."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from envctl.keeper import process_marks, system
from envctl.keeper.helpers import Helper, Helpers
from envctl.servers.http.wire import Refused

KILLED = 137
"""The exit status of a process that SIGKILL has ended: 128 + 9."""
PATIENCE = 30.0
"""Seconds to wait for the supervisor beyond the longest grace. Then it is killed, as it may be stopped (SIGSTOP) and never end."""
# UTF-8 mode passes the names and values of variables to the program unchanged, whatever the locale is.
_COMMAND = [sys.executable, "-I", "-S", "-X", "utf8", os.path.dirname(os.path.abspath(__file__)), "--supervisor"]

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)


class Process:
    """The state of a local process.

    Attributes:
        pid: the process id; 0 until the process is started.
        status: the exit status, 128 + n after signal n; None while the process runs.
        since: the time stamp (ISO 8601) of the start.
    """

    def __init__(self) -> None:
        self.pid = 0
        self.status: int | None = None
        self.since = ""

    def shown(self) -> dict[str, Any]:
        """Return the state as GET /v1/processes shows it."""
        return {"pid": self.pid, "running": self.status is None, "status": self.status, "since": self.since}


class ExitEvents:
    """Report the ends of processes to HTTP clients, as chunked JSON lines. A client that does not read is disconnected."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[socket.socket] = set()

    def follow(self, stream: socket.socket) -> None:
        """Answer an HTTP request with a stream of events; return when the client has closed the connection.

        Raises:
            OSError: the client has closed it before the response began.
        """
        with self._lock:
            stream.sendall(_HEAD)
            stream.settimeout(None)
            self._listeners.add(stream)
        with suppress(OSError):
            while stream.recv(4096):
                pass
        with self._lock:
            self._listeners.discard(stream)

    def tell(self, name: str, status: int) -> None:
        """Report to every client that the process *name* has ended with *status*."""
        line = json.dumps({"name": name, "status": status}).encode() + b"\n"
        chunk = b"%x\r\n%s\r\n" % (len(line), line)
        with self._lock:
            for stream in list(self._listeners):
                self._send(stream, chunk)

    def _send(self, stream: socket.socket, chunk: bytes) -> None:
        try:
            complete = stream.send(chunk, socket.MSG_DONTWAIT) == len(chunk)
        except OSError:
            complete = False
        if not complete:
            self._listeners.discard(stream)
            with suppress(OSError):  # the client has left
                stream.shutdown(socket.SHUT_RDWR)


class Dialogue:
    """Requests to a helper that is not restarted. A request and its answer carry the same number.

    Args:
        name: the helper's name in the log.
        argv: the helper's command.
        env: variables that are added to the keeper's own environment; None removes a variable.
        told: called with each message that is not an answer.
        lost: called once when the helper has ended, before the open requests return None.

    Raises:
        OSError: the helper cannot be started.
    """

    def __init__(
        self,
        helpers: Helpers,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str | None],
        told: Callable[[dict[str, Any]], None],
        lost: Callable[[], None],
    ) -> None:
        self._tell, self._lost = told, lost
        self._lock = threading.Lock()
        self._questions: dict[int, _Question] | None = {}
        self._last = 0
        self.helper = Helper(helpers, name, argv, env, told=self._take, ended=self._ended)

    def ask(
        self, do: str, then: Callable[[dict[str, Any]], None] | None = None, patience: float | None = None, **message: Any
    ) -> dict[str, Any] | None:
        """Send a request and wait for its answer; return None if the helper ends without an answer.

        Args:
            do: the name of the request.
            then: called with the answer, before any later message from the helper is handled.
            patience: seconds after which a helper that does not answer is killed; None for no limit.
            message: the arguments of the request.
        """
        with self._lock:
            if self._questions is None:
                return None
            self._last += 1
            id, question = self._last, _Question(then)
            self._questions[id] = question
        with suppress(OSError):  # the helper's thread notices its end, too, and then `_ended` completes the request
            self.helper.send({"do": do, "id": id, **message})
        if not question.done.wait(patience):
            self.helper.kill()
            question.done.wait()
        return question.answer

    def _take(self, message: dict[str, Any]) -> None:
        if "id" not in message:
            self._tell(message)
            return
        with self._lock:
            question = (self._questions or {}).pop(message["id"])
        question.answer = message
        if question.then:
            question.then(message)
        question.done.set()

    def _ended(self, _status: int | None) -> None:
        self._lost()
        with self._lock:
            questions, self._questions = self._questions or {}, None
        for question in questions.values():
            question.done.set()


class _Question:
    def __init__(self, then: Callable[[dict[str, Any]], None] | None) -> None:
        self.then, self.done = then, threading.Event()
        self.answer: dict[str, Any] | None = None


class Processes:
    """The local processes of the instance; for use from any thread.

    Args:
        mark: the value of ENVCTL_MARK in their environment.
    """

    def __init__(self, mark: str, exit_events: ExitEvents, helpers: Helpers) -> None:
        self._mark, self._exit_events, self._helpers = mark, exit_events, helpers
        self._changed = threading.Condition()
        self._table: dict[str, Process] = {}
        self._supervisor: Dialogue | None = None
        self._closed = False

    def shown(self) -> dict[str, dict[str, Any]]:
        """Return the state of each process that was started, by its name (see routes/processes.py)."""
        with self._changed:
            return {name: process.shown() for name, process in self._table.items() if process.pid}

    def start(self, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Start a process and return {"pid", "since", "enforced"}, as POST /v1/processes answers.

        Raises:
            Refused: a process of that name runs already (409), the program cannot start (422), or the keeper is about to end (503).
        """
        process, before = self._reserve(name)
        try:
            answer = self._ask_to_start(name, request, process)
        except BaseException:
            self._give_back(name, before)
            raise
        return {"pid": process.pid, "since": process.since, "enforced": answer["enforced"]}

    def _reserve(self, name: str) -> tuple[Process, Process | None]:
        with self._changed:
            before = self._table.get(name)
            if before and before.status is None:
                raise Refused(409, f"{name} is already running")
            process = self._table[name] = Process()
            return process, before

    def _give_back(self, name: str, before: Process | None) -> None:
        with self._changed:
            if before:
                self._table[name] = before
            else:
                del self._table[name]
            self._changed.notify_all()

    def _ask_to_start(self, name: str, request: Mapping[str, Any], process: Process) -> dict[str, Any]:
        for _ in range(2):  # the first supervisor may just have been killed
            answer = self.supervisor().ask("start", lambda answer: self._started(process, answer), name=name, **request)
            if answer and "error" in answer:
                raise Refused(422, answer["error"])
            if answer:
                return answer
        raise Refused(503, "the supervisor was killed")

    def _started(self, process: Process, answer: Mapping[str, Any]) -> None:
        with self._changed:
            process.pid, process.since = answer.get("pid", 0), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self._changed.notify_all()

    def supervisor(self) -> Dialogue:
        """Return the running supervisor, starting one if needed. A dead one is replaced once all its processes are gone.

        Raises:
            OSError: the supervisor cannot be started.
            Refused: the keeper is about to end (503).
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._supervisor is None or self._supervisor.helper.pid is not None)
            if self._closed:
                raise Refused(503, "the keeper is ending")
            if self._supervisor is None:
                env = {process_marks.MARK: None, process_marks.PROCESS: None, process_marks.SUPERVISOR: self._mark}
                self._supervisor = Dialogue(self._helpers, "supervisor", _COMMAND, env, self._told, self._lost)
            return self._supervisor

    def _told(self, message: Mapping[str, Any]) -> None:
        self._ended(message["end"], message["status"])

    def stop(self, name: str, grace: float) -> int:
        """Stop a process with its whole tree and return its exit status.

        Args:
            grace: seconds that the process has to end before it is killed.

        Raises:
            Refused: no process of that name was started (404).
        """
        with self._changed:
            process = self._table.get(name)
            while process is not None and process.status is None and not process.pid:
                self._changed.wait()  # until the start has succeeded or failed
                process = self._table.get(name)
            supervisor = self._supervisor
        if process is None:
            raise Refused(404, f"there is no process {name}")
        if process.status is None and supervisor:
            supervisor.ask("stop", name=name, grace=grace)
        return KILLED if process.status is None else process.status

    def stop_all(self, graces: Mapping[str, float]) -> None:
        """Refuse to start further processes, stop all that run, and end the supervisor.

        Args:
            graces: seconds that each process has to end; a process that is not listed is killed at once.
        """
        with self._changed:
            self._closed = True
            supervisor = self._supervisor
            self._changed.notify_all()
        if supervisor:
            supervisor.ask("stop_all", patience=max(graces.values(), default=0.0) + PATIENCE, grace=dict(graces))
            supervisor.helper.stop(PATIENCE)

    def _ended(self, name: str, status: int) -> None:
        with self._changed:
            self._table[name].status = status
            self._changed.notify_all()
        self._exit_events.tell(name, status)

    def _lost(self) -> None:
        """Kill the processes of a supervisor that has died. On Linux the keeper has adopted them, as the next subreaper."""
        if system.LINUX:
            system.kill_adopted(self._helpers.pids, PATIENCE)
        else:
            process_marks.kill_marked(self._mark)
        with self._changed:
            lost = [name for name, process in self._table.items() if process.pid and process.status is None]
        for name in lost:
            self._ended(name, KILLED)
        with self._changed:
            self._supervisor = None
            self._changed.notify_all()
