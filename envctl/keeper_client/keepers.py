"""The keepers of the instances below one state folder: start them, let them watch this process, release them and stop them."""

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
"""Seconds to wait for the supervisor of a killed keeper to end."""
LAST_WORDS = 2.0
"""Seconds to wait for the end of a keeper after it has answered the request to stop."""


class Keepers:
    """The keepers of the instances below *home*, and the sockets through which some of these keepers watch this process."""

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self.home, self._environ = home, environ
        self._held: dict[str, socket.socket] = {}
        self._known: dict[tuple[int, str, int], KeeperClient] = {}

    def find(self, id: str) -> KeeperClient | None:
        """Return a client of the keeper of the instance *id*; None if none runs.

        Raises:
            UsageError: another user can write to the instance's folder.
        """
        found = KeeperClient.at(self.home / id)
        return self._known.setdefault(found.identity, found) if found is not None else None

    def begin(self, record: Record, duties: Duties, *, watched: bool, started: Callable[[str], object]) -> Callable[[], KeeperClient]:
        """Start the instance's keeper, or tell a running keeper when the instance expires.

        Args:
            duties: what a new keeper has to do besides watching.
            watched: whether a new keeper removes the instance if this process ends before it calls `release`.
            started: called with the process mark of a new keeper as soon as its process exists.

        Returns:
            A function that waits until the keeper answers and returns its client. It raises EnvctlError if the keeper does not start.

        Raises:
            KeeperSilent: a keeper runs but does not answer; the keeper and its processes stay as they are.
            OSError: the keeper's process cannot be created.
        """
        keeper = self.find(record.id)
        if keeper is not None:
            try:
                keeper.ask("POST", "/v1/expires", {"expires": record.expires}, QUICK)
            except KeeperSilent:
                raise
            except KeeperGone:
                pass  # it is removing an earlier instance of this name, and gives up once the record names another keeper
            else:
                return lambda: keeper
        first_word, ours = start_keeper(record, self.home / record.id, duties, self._environ, watched, started)
        if ours is not None:
            self._held[record.id] = ours
        return first_word

    def hear(self, id: str) -> None:
        """Check that the keeper of the instance *id* answers, if one runs.

        Raises:
            KeeperSilent: the keeper runs but does not answer.
        """
        keeper = self.find(id)
        if keeper is not None:
            try:
                keeper.ask("GET", "/v1/keeper", timeout=QUICK)
            except KeeperSilent:
                raise
            except KeeperGone:
                pass  # the keeper is ending

    def release(self, id: str) -> None:
        """Let the instance outlive this process."""
        held = self._held.pop(id, None)
        if held is not None:
            with suppress(OSError):
                held.sendall(b"release\n")
            held.close()

    def lost(self, record: Record) -> bool:
        """Return whether the instance's keeper has ended, be it one that watches this process or one that ran before."""
        held = self._held.get(record.id)
        if held is None:
            return process_alive(record.keeper) is False
        readable, _, _ = select.select([held], [], [], 0)
        return bool(readable)

    def dismiss(self, keeper: KeeperClient | None, id: str) -> None:
        """Stop the keeper without removing the instance, and wait for its end.

        The caller finds the keeper before it deletes the record and calls this afterwards. If the keeper kept running, later commands
        would take it for the keeper of an instance whose state was deleted by accident.

        Args:
            keeper: the keeper, or None if none runs.
            id: the instance's id.
        """
        held = self._held.pop(id, None)
        if keeper is not None:
            with suppress(KeeperGone):
                keeper.ask("POST", "/v1/stop", {})
                _until(lambda: not keeper.runs, LAST_WORDS)
        if held is not None:
            held.close()

    def end_silent(self, keeper: KeeperClient, id: str) -> None:
        """Kill a keeper that does not answer, and its processes. Call this before the files of an instance are removed."""
        keeper.kill()
        # The supervisor notices the keeper's end, and kills and reaps its processes. In a container perhaps no other process reaps
        # zombies, and a server that finds its predecessor's process id in use refuses to start.
        _until(lambda: not process_marks.supervised(id), SUPERVISOR_TIMEOUT)
        process_marks.kill_marked(id)

    def stop_processes(self, id: str, grace: Mapping[str, float]) -> bool:
        """Stop all local processes of an instance and keep the keeper running.

        Args:
            grace: seconds that each process has to end; a process that is not listed is killed at once.

        Returns:
            Whether the keeper has stopped the processes and still runs. False if no keeper runs, or if it has ended with its processes.
        """
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
        except KeeperGone:  # the instance has expired, so the keeper stops the processes itself and then removes its address
            _until(lambda: self.find(id) is None, patience)
            return False
        return True


def _until(condition: Callable[[], bool], patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and not condition():
        time.sleep(0.005)


def called_by(keeper: str) -> bool:
    """Return whether the keeper with this process mark has started the current process."""
    return keeper == process_mark(os.getppid())
