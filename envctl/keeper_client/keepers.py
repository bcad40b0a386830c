"""The keepers of the instances here: started before anything else is, held while a command works, told to let go or to end."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from envctl.instance.machine import process_alive, process_mark
from envctl.instance.record import Record
from envctl.keeper import process_marks
from envctl.keeper_client.client import QUICK, KeeperClient, KeeperGone, KeeperSilent
from envctl.keeper_client.starting import Duties, start_keeper

SUPERVISOR_TIMEOUT = 10.0
LAST_WORDS = 2.0
"""Seconds; a keeper ends right after it has answered that it will."""


class Keepers:
    """Those of the instances below *home*, and our ends of the sockets by which some of them watch us."""

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self.home, self._environ = home, environ
        self._held: dict[str, socket.socket] = {}
        self._known: dict[tuple[int, str, int], KeeperClient] = {}

    def find(self, id: str) -> KeeperClient | None:
        """The keeper of *id*, where one runs."""
        found = KeeperClient.at(self.home / id)
        return self._known.setdefault(found.identity, found) if found is not None else None

    def begin(self, record: Record, duties: Duties, *, watched: bool, started: Callable[[str], object]) -> Callable[[], KeeperClient]:
        """The instance's keeper, started where none runs; it knows when the instance expires.

        Args:
            watched: it tears the instance down when this process ends before `release`.
            started: told the mark of a new keeper's process, as soon as there is one.

        Returns:
            What waits until it answers; it raises EnvctlError where it cannot be started.

        Raises:
            KeeperSilent: one runs and does not answer; it stays as it is, and so does what it holds.
        """
        keeper = self.find(record.id)
        if keeper is not None:
            try:
                keeper.ask("POST", "/v1/expires", {"expires": record.expires}, QUICK)
            except KeeperSilent:
                raise
            except KeeperGone:
                pass  # it removes an earlier instance of this name: that its keeper is another one now tells it to stop
            else:
                return lambda: keeper
        first_word, ours = start_keeper(record, self.home / record.id, duties, self._environ, watched, started)
        if ours is not None:
            self._held[record.id] = ours
        return first_word

    def hear(self, id: str) -> None:
        """
        Raises:
            KeeperSilent: the keeper of *id* runs, and does not answer.
        """
        keeper = self.find(id)
        if keeper is not None:
            try:
                keeper.ask("GET", "/v1/keeper", timeout=QUICK)
            except KeeperSilent:
                raise
            except KeeperGone:
                pass  # it ends

    def release(self, id: str) -> None:
        """From now on the instance outlives this process."""
        held = self._held.pop(id, None)
        if held is not None:
            with suppress(OSError):
                held.sendall(b"release\n")
            held.close()

    def lost(self, record: Record) -> bool:
        """Whether the keeper has ended: the one that watches us, or that of an instance that was up before."""
        held = self._held.get(record.id)
        if held is None:
            return process_alive(record.keeper) is False
        readable, _, _ = select.select([held], [], [], 0)
        return bool(readable)

    def dismiss(self, keeper: KeeperClient | None, id: str) -> None:
        """The keeper ends; nothing is torn down. (It is found before the record goes, and told after.)

        One that still runs would be found as that of an instance whose state somebody has deleted.
        """
        held = self._held.pop(id, None)
        if keeper is not None:
            with suppress(KeeperGone):
                keeper.ask("POST", "/v1/stop", {})
                _until(lambda: not keeper.runs, LAST_WORDS)
        if held is not None:
            held.close()

    def end_silent(self, keeper: KeeperClient, id: str) -> None:
        """For what is being removed: a keeper that does not answer goes, and the processes below it, before anybody touches their files."""
        keeper.kill()
        # Its supervisor notices, kills what it has and reaps it: in a container nobody else may, and a server takes a zombie for a rival.
        _until(lambda: not process_marks.supervised(id), SUPERVISOR_TIMEOUT)
        process_marks.kill_marked(id)

    def stop_processes(self, id: str, grace: Mapping[str, float]) -> bool:
        """The local processes end, each within its grace; the keeper stays. False where there is none that would have seen to it."""
        from envctl.process.threads import each

        keeper = self.find(id)
        if keeper is None:
            return False
        patience = max([*grace.values(), 0.0]) + 30
        try:
            _, running = keeper.ask("GET", "/v1/processes", timeout=QUICK)
            each(lambda name: keeper.end_process(name, grace.get(name, 0.0), patience), running or {})
        except KeeperSilent:
            self.end_silent(keeper, id)
            return False
        except KeeperGone:  # it stops the processes itself, as its instance has expired; its address goes after them
            _until(lambda: self.find(id) is None, patience)
            return False
        return True


def _until(condition: Callable[[], bool], patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and not condition():
        time.sleep(0.005)


def called_by(keeper: str) -> bool:
    """Whether *keeper*, a process's mark, has started this process."""
    return keeper == process_mark(os.getppid())
