"""The local processes as the keeper knows them: by name, what runs and what has ended, and who listens for their ends."""

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
PATIENCE = 30.0
"""With a supervisor that ought to be done: it may be halted, and the keeper is not to stay for ever."""
# UTF-8: the names and values of variables reach the program as the bytes they were, whatever the locale.
_COMMAND = [sys.executable, "-I", "-S", "-X", "utf8", os.path.dirname(os.path.abspath(__file__)), "--supervisor"]

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)


class Process:
    """A name that was asked for; its `pid` is 0 until it is started."""

    def __init__(self) -> None:
        self.pid = 0
        self.status: int | None = None
        self.since = ""

    def shown(self) -> dict[str, Any]:
        return {"pid": self.pid, "running": self.status is None, "status": self.status, "since": self.since}


class ExitEvents:
    """Tells of ends in streams of chunked JSON lines; a listener that does not read is dropped, nobody waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[socket.socket] = set()

    def follow(self, stream: socket.socket) -> None:
        """Answers an HTTP request; returns when the client has closed."""
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
            with suppress(OSError):  # it is gone
                stream.shutdown(socket.SHUT_RDWR)


class Dialogue:
    """A helper that runs once, and is asked; a question and its answer carry the same number.

    Args:
        told: called with each message that answers nothing.
        lost: called once when the helper is gone, before those who wait for an answer get None.
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
        """The answer; None when the helper went without one.

        Args:
            then: told of the answer before anything that came after it.
            patience: seconds after which a helper that does not answer is killed.
        """
        with self._lock:
            if self._questions is None:
                return None
            self._last += 1
            id, question = self._last, _Question(then)
            self._questions[id] = question
        with suppress(OSError):  # whoever follows it notices as well, and answers
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
    """All of them; safe to be used from any thread."""

    def __init__(self, mark: str, exit_events: ExitEvents, helpers: Helpers) -> None:
        self._mark, self._exit_events, self._helpers = mark, exit_events, helpers
        self._changed = threading.Condition()
        self._table: dict[str, Process] = {}
        self._supervisor: Dialogue | None = None
        self._closed = False

    def shown(self) -> dict[str, dict[str, Any]]:
        with self._changed:
            return {name: process.shown() for name, process in self._table.items() if process.pid}

    def start(self, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Its pid, since when, and which limits are enforced.

        Raises:
            Refused: one of that name runs (409), it cannot start (422), or the keeper is about to end (503).
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
                raise Refused(409, f"{name} runs already")
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
        for _ in range(2):  # the first supervisor may have been killed just now
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
        """A supervisor that runs; one that has died is replaced once what it had is gone."""
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
        """The status, once nothing of it is left.

        Raises:
            Refused: none of that name was ever started (404).
        """
        with self._changed:
            process = self._table.get(name)
            while process is not None and process.status is None and not process.pid:
                self._changed.wait()  # until it is started, or not
                process = self._table.get(name)
            supervisor = self._supervisor
        if process is None:
            raise Refused(404, f"no process {name}")
        if process.status is None and supervisor:
            supervisor.ask("stop", name=name, grace=grace)
        return KILLED if process.status is None else process.status

    def stop_all(self, graces: Mapping[str, float]) -> None:
        """Nothing is started any more, and nothing is left."""
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
        """The supervisor is gone: what it had came to the keeper, and goes too."""
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
