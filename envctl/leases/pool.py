"""The units of one thing that a server has several of: made ahead, handed out in the order of asking, thrown away after use.

made --> ready --> leased --> dirty --> gone
                      `--> kept, for a look, as long as the server is there
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from envctl.errors import EnvctlError
from envctl.instance.units import Names
from envctl.units import Driver

FIRST, MOST = 2, 32
"""Units that are kept ready at first, and at most."""
FILLERS = 2
"""Threads that make units, and throw them away, each over a connection of its own."""
NUMBERS = range(16, 256)
"""Of logical databases: a server is given 256, and the first belong to whoever uses it."""
LONGEST = 40
PAUSE = 1.0
"""Seconds before a server that has refused is asked again."""
Opener = Callable[[], AbstractContextManager[Driver]]


class Exhausted(EnvctlError):
    """Nothing came free in time."""


@dataclass
class Pool:
    """
    Attributes:
        names: what it makes copies of.
        limit: units at once, handed out or ready.
        changed: called whenever `units` has changed, before that has any effect, with the lock held.
    """

    names: Names
    opener: Opener
    changed: Callable[[], None]
    limit: int = MOST
    units: dict[str, str] = field(default_factory=dict)
    """Every unit that may be there, and what it is: making, ready, leased, dirty, kept."""
    _ready: deque[str] = field(default_factory=deque)
    _waiting: deque[Ticket] = field(default_factory=deque)
    _wanted: int = FIRST
    _trouble: str = ""
    _closed: bool = False
    _lock: threading.Condition = field(default_factory=threading.Condition)

    def begin(self) -> None:
        """Fills itself from now on."""
        for _ in range(FILLERS):
            threading.Thread(target=self._fill, name=f"pool of {self.names.base}", daemon=True).start()

    def take(self, patience: float) -> str:
        """A unit as it was seeded; whoever asked first gets the first.

        Args:
            patience: seconds to wait for one.

        Raises:
            Exhausted: none came free; the message says why.
        """
        ticket = Ticket()
        with self._lock:
            self._waiting.append(ticket)
            self._hand_out()
            busy = sum(state == "leased" for state in self.units.values()) + len(self._waiting)
            self._wanted = min(max(self._wanted, busy), self.limit)
            self._lock.notify_all()
        if ticket.given.wait(patience):
            return ticket.unit
        with self._lock:
            if ticket.unit:  # at the last moment
                return ticket.unit
            self._waiting.remove(ticket)
            leased = sum(state == "leased" for state in self.units.values())
        why = self._trouble or f"{leased} of {self.limit} are handed out"
        raise Exhausted(f"no unit of {self.names.base or self.names.template} came free within {patience:g} s: {why}")

    def give_back(self, unit: str, keep: bool = False) -> None:
        """It is thrown away, or kept as it is."""
        with self._lock:
            if self.units.get(unit) == "leased":
                self._note(unit, "kept" if keep else "dirty")
                self._lock.notify_all()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._lock.notify_all()

    def _fill(self) -> None:
        while not self._closed:
            try:
                with self.opener() as driver:
                    self._trouble = ""
                    for work in self._work():
                        work(driver)
            except EnvctlError as error:
                self._trouble = error.message
                time.sleep(PAUSE)

    def _work(self) -> Iterator[Callable[[Driver], None]]:
        """What is to be done next: who waits comes first, then room is made, then units are made ahead."""
        while True:
            with self._lock:
                found = None if self._closed else self._next()
                if found is None:
                    if self._closed:
                        return
                    self._lock.wait()
            if found is not None:
                yield found

    def _next(self) -> Callable[[Driver], None] | None:
        dirty = next((unit for unit, state in self.units.items() if state == "dirty"), None)
        making = sum(state == "making" for state in self.units.values())
        full = sum(state != "kept" for state in self.units.values()) >= self.limit
        lacking = len(self._waiting) or self._wanted - len(self._ready)
        if lacking > making and not full:
            unit = self._new_name()
            self._note(unit, "making")
            return lambda driver: self._make(driver, unit)
        if dirty is not None:
            self._note(dirty, "going")
            return lambda driver: self._throw_away(driver, dirty)
        return None

    def _new_name(self) -> str:
        """As a server of its kind takes it: the number of a logical database, or the base's name with something behind it."""
        base = self.names.base
        if base.isdecimal():
            taken = {base, self.names.template, *self.names.lanes, *self.units}
            return next(number for number in map(str, NUMBERS) if number not in taken)
        if not base:  # a prefix
            return self.names.template.replace("seeded", f"lease-{secrets.token_hex(4)}")
        hyphen = "_" if self.names.template.endswith("_seeded") else "-"
        return f"{base[:LONGEST]}{hyphen}lease{hyphen}{secrets.token_hex(4)}"

    def _make(self, driver: Driver, unit: str) -> None:
        try:
            driver.clone(self.names.template, unit)
        except BaseException:
            with self._lock:
                self._note(unit, "dirty")
            raise
        with self._lock:
            self._note(unit, "ready")
            self._ready.append(unit)
            self._hand_out()

    def _throw_away(self, driver: Driver, unit: str) -> None:
        try:
            driver.drop(unit)
        except BaseException:
            with self._lock:
                self._note(unit, "dirty")
            raise
        with self._lock:
            self._note(unit, "")
            self._lock.notify_all()

    def _hand_out(self) -> None:
        while self._ready and self._waiting:
            ticket, unit = self._waiting.popleft(), self._ready.popleft()
            self._note(unit, "leased")
            ticket.give(unit)
            self._lock.notify_all()

    def _note(self, unit: str, state: str) -> None:
        if state:
            self.units[unit] = state
        else:
            self.units.pop(unit, None)
        self.changed()


class Ticket:
    """Somebody's place in the queue."""

    def __init__(self) -> None:
        self.unit = ""
        self.given = threading.Event()

    def give(self, unit: str) -> None:
        self.unit = unit
        self.given.set()
