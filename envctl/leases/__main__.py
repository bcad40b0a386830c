"""The helper process: it answers requests of the keeper over a socket, each in a thread, until the keeper closes the socket.

{"request": number, "verb": a key of VERBS, ...} -> {"request": the same number, "status": an HTTP status, "body": a JSON value}
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envctl.errors import EnvctlError, UsageError
from envctl.instance.record import Record
from envctl.instance.store import RECORD, RecordGone, RecordStore
from envctl.keeper.channel import Channel
from envctl.leases.checkpoints import Checkpoints
from envctl.leases.leases import PATIENCE, TTL, Leases
from envctl.leases.pool import Exhausted
from envctl.process.threads import guarded_thread
from envctl.session import Session
from envctl.units.connections import Connections

if TYPE_CHECKING:
    from envctl.lifecycle import change

THREADS = 64
"""The number of requests that are answered at the same time."""
EXHAUSTED = 503
"""The HTTP status if no unit becomes free in time."""
Answer = tuple[int, Any]
"""An HTTP status and a body."""


class Data:
    """The answers to requests about the data of the instance whose state is in *folder*.

    Each method in VERBS takes a request, and returns a status and a body; it raises EnvctlError if the request fails.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._store = folder, RecordStore(folder.parent)
        self._session, self._connections = Session.here(), Connections()
        self._turns: dict[int | None, threading.Lock] = defaultdict(threading.Lock)
        self._known: tuple[tuple[int, int], Record] | None = None
        self.leases, self.checkpoints = Leases(folder, self.record), Checkpoints(self.record)

    def record(self) -> Record:
        """Return the instance's record as it is now.

        Raises:
            RecordGone: the instance no longer exists.
        """
        try:
            found = os.stat(self._folder / RECORD)
        except OSError:
            raise RecordGone("the instance is being removed") from None
        version = (found.st_mtime_ns, found.st_ino)
        if self._known is None or self._known[0] != version:
            record = self._store.load(self._folder.name)
            if record is None:
                raise RecordGone("the instance is being removed")
            self._known = version, record
        return self._known[1]

    def lease(self, told: Mapping[str, Any]) -> Answer:
        """Lease a unit."""
        found = self.leases.take(
            told["service"], told.get("name"), told.get("ttl") or TTL, PATIENCE if told.get("wait") is None else told["wait"],
            told.get("pid") or 0,
        )  # fmt: skip
        return 201, found

    def give_back(self, told: Mapping[str, Any]) -> Answer:
        """End a lease."""
        found = self.leases.give_back(told["id"], bool(told.get("keep")))
        return (200, found) if found is not None else (404, {"error": f"there is no lease {told['id']}"})

    def list_leases(self, told: Mapping[str, Any]) -> Answer:
        """Return all leases and pools."""
        return 200, {"leases": self.leases.shown(), "pools": self.leases.pools()}

    def lanes(self, told: Mapping[str, Any]) -> Answer:
        """Return the number and the outputs of each lane."""
        return 200, [{"number": lane.number, "outputs": dict(lane.outputs)} for lane in self.record().lanes]

    def reset(self, told: Mapping[str, Any]) -> Answer:
        """Reset services of one lane or of the whole instance; then prepare the next reset in the background."""
        from envctl.lifecycle import change

        services, lane = told.get("services") or [], told.get("lane")
        way = change.Way(self._connections.use, shared=lane is not None, ahead=False)
        with self._turns[lane]:
            change.reset(self._session, self.record(), services, lane=lane, checked=False, way=way)
        guarded_thread(partial(self._prepare, services, lane, way), lambda _: None, name="next reset")
        self.checkpoints.reset(lane)
        return 200, {}

    def _prepare(self, services: list[str], lane: int | None, way: change.Way) -> None:
        from envctl.lifecycle import change

        with self._turns[lane]:
            change.prepare_reset(self._session, self.record(), services, lane=lane, way=way)

    def checkpoint(self, told: Mapping[str, Any]) -> Answer:
        """Take a checkpoint after a test."""
        lanes = len(self.record().lanes)
        if not 0 < told["lane"] <= max(lanes, 1):
            raise UsageError(f"there is no lane {told['lane']}")
        return 200, self.checkpoints.take(told["test"], told["lane"])

    def begin_checkpoints(self, told: Mapping[str, Any]) -> Answer:
        """Make the current data the one with which the next checkpoints are compared."""
        self.checkpoints.begin()
        return 200, {}

    def list_checkpoints(self, told: Mapping[str, Any]) -> Answer:
        """Return all checkpoints."""
        return 200, self.checkpoints.made


VERBS: dict[str, Callable[[Data, Mapping[str, Any]], Answer]] = {
    "lease": Data.lease, "give_back": Data.give_back, "list_leases": Data.list_leases, "lanes": Data.lanes, "reset": Data.reset,
    "checkpoint": Data.checkpoint, "checkpoints": Data.list_checkpoints,
    "begin_checkpoints": Data.begin_checkpoints,
}  # fmt: skip


def answer(data: Data, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to one request; errors become answers with a message."""
    try:
        status, body = VERBS[told["verb"]](data, told)
    except UsageError as error:
        status, body = 404, _refused(error)
    except Exhausted as error:
        status, body = EXHAUSTED, _refused(error)
    except EnvctlError as error:
        status, body = 500, _refused(error)
    except Exception as error:  # a bug must not leave the client without an answer
        status, body = 500, {"error": f"{type(error).__name__}: {error}"}
    return {"request": told["request"], "status": status, "body": body}


def _refused(error: EnvctlError) -> dict[str, str]:
    return {"error": error.message, **({"hint": error.hint} if error.hint else {})}


def main(folder: str, descriptor: str) -> None:
    """Answer requests over a file descriptor until the keeper closes the other end; then end the process."""
    serve(Channel(socket.socket(fileno=int(descriptor))), Data(Path(folder)), ThreadPoolExecutor(THREADS))
    os._exit(0)  # threads may still wait to answer a keeper that is gone


def serve(channel: Channel, data: Data, threads: Executor) -> None:
    """Answer requests until the other end is closed."""
    while (messages := channel.receive()) is not None:
        for told in messages:
            if not (_needs_no_wait(data, told) and _reply(channel, data, {**told, "wait": 0}, refuse=False)):
                threads.submit(partial(_reply, channel, data, told))


def _needs_no_wait(data: Data, told: Mapping[str, Any]) -> bool:
    """Return whether the reading thread can answer a request at once, which is faster than to wake another thread."""
    if told["verb"] == "lease":
        return data.leases.is_ready(told["service"], told.get("name"))
    return told["verb"] in ("give_back", "list_leases", "lanes")


def _reply(channel: Channel, data: Data, told: Mapping[str, Any], refuse: bool = True) -> bool:
    """Answer a request. Return True; without *refuse*, return False instead of answering that there is no unit."""
    found = answer(data, told)
    if found["status"] == EXHAUSTED and not refuse:
        return False
    channel.send(found)
    if told["verb"] in ("lease", "give_back"):
        data.leases.refill()
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
