"""The local processes as the keeper knows them: by name, what runs and what has ended, whatever becomes of the supervisor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from envctl.keeper import marks, system, tree
from envctl.keeper.exit_events import ExitEvents
from envctl.keeper.link import Link
from envctl.keeper.spawn import CannotStart

KILLED = 137
PATIENCE = 30.0
"""With a supervisor that ought to be done: it may be halted, and the keeper is not to stay for ever."""


class Taken(Exception):
    """A process of that name runs."""


class Unknown(Exception):
    """No process of that name was ever started."""


class Closed(Exception):
    """The keeper is about to end, or could not get a supervisor that lasts."""


class Process:
    """A name that was asked for; its `pid` is 0 until it is started."""

    def __init__(self) -> None:
        self.pid = 0
        self.status: int | None = None
        self.since = ""

    def shown(self) -> dict[str, Any]:
        return {"pid": self.pid, "running": self.status is None, "status": self.status, "since": self.since}


class Processes:
    """All of them; safe to be used from any thread."""

    def __init__(self, mark: str, exit_events: ExitEvents, wake: Callable[[], None] = lambda: None) -> None:
        self.mark, self.exit_events, self._wake = mark, exit_events, wake
        self._changed = threading.Condition()
        self._table: dict[str, Process] = {}
        self._link: Link | None = None
        self._closed = False

    def running(self) -> bool:
        with self._changed:
            return any(process.status is None for process in self._table.values())

    def shown(self) -> dict[str, dict[str, Any]]:
        with self._changed:
            return {name: process.shown() for name, process in self._table.items() if process.pid}

    def own(self) -> Collection[int]:
        """Children of the keeper that did not come to it as orphans."""
        link = self._link
        return [link.process.pid] if link else []

    def start(self, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Its pid, since when, and which limits are enforced.

        Raises:
            Taken, Closed, CannotStart
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
                raise Taken(f"{name} runs already")
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
            answer = self._supervisor().ask("start", lambda answer: self._started(process, answer), name=name, **request)
            if answer and "error" in answer:
                raise CannotStart(answer["error"])
            if answer:
                return answer
        raise Closed("the supervisor was killed")

    def _started(self, process: Process, answer: Mapping[str, Any]) -> None:
        with self._changed:
            process.pid, process.since = answer.get("pid", 0), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self._changed.notify_all()

    def expect(self) -> None:
        """The supervisor is there before the first process is asked for."""
        self._supervisor()

    def _supervisor(self) -> Link:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._link is None or self._link.process.returncode is None)
            if self._closed:
                raise Closed("the keeper is ending")
            if self._link is None:
                self._link = Link(self.mark, self._ended, self._lost)
            return self._link

    def stop(self, name: str, grace: float) -> int:
        """The status, once nothing of it is left.

        Raises:
            Unknown
        """
        with self._changed:
            process = self._table.get(name)
            while process is not None and process.status is None and not process.pid:
                self._changed.wait()  # until it is started, or not
                process = self._table.get(name)
            link = self._link
        if process is None:
            raise Unknown(f"no process {name}")
        if process.status is None and link:
            link.ask("stop", name=name, grace=grace)
        return KILLED if process.status is None else process.status

    def stop_all(self, graces: Mapping[str, float]) -> None:
        """Nothing is started any more, and nothing is left."""
        with self._changed:
            self._closed = True
            link = self._link
            self._changed.notify_all()
        if link:
            link.ask("stop_all", patience=max(graces.values(), default=0.0) + PATIENCE, grace=dict(graces))
            link.close()

    def _ended(self, name: str, status: int) -> None:
        with self._changed:
            self._table[name].status = status
            self._changed.notify_all()
        self.exit_events.tell(name, status)
        self._wake()

    def _lost(self, link: Link) -> None:
        """The supervisor is gone: what it had came to the keeper, and goes too."""
        if system.LINUX:
            tree.kill_adopted(self.own, PATIENCE)
        else:
            marks.kill_marked(self.mark)
        with self._changed:
            lost = [name for name, process in self._table.items() if process.pid and process.status is None]
        for name in lost:
            self._ended(name, KILLED)
        with self._changed:
            self._link = None
            self._changed.notify_all()
