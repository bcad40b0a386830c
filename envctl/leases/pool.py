"""The units of one thing that a server has several of: made ahead, handed out in the order of asking, thrown away after use.

made --> ready --> leased --> dirty --> gone
                      |--> over, where its lease has ended by itself: nobody makes anything before that is gone
                      `--> kept, for a look, as long as the server is there
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field

from envctl.errors import EnvctlError
from envctl.instance.units import Names
from envctl.leases.budget import UNKNOWN, Budget, size_of
from envctl.units import Driver, Size

FIRST, MOST = 2, 200
"""Units that are kept ready at first, and at most, however small they are."""
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
        changed: called before a unit is made, and when one is not handed out any more, with the lock held: what else becomes of one
            shows by whether there is a lease of it.
        budget: of all pools.
        size: of one unit.
    """

    names: Names
    opener: Opener
    changed: Callable[[], None]
    limit: int = MOST
    units: dict[str, str] = field(default_factory=dict)
    """Every unit that may be there, and what it is: making, ready, leased, dirty, over, going, kept."""
    budget: Budget = field(default_factory=lambda: Budget(Size(1 << 40, 1 << 40)))
    size: Size = UNKNOWN
    _ready: deque[str] = field(default_factory=deque)
    _waiting: deque[Ticket] = field(default_factory=deque)
    _wanted: int = FIRST
    _troubles: dict[int, str] = field(default_factory=dict)
    """Of each thread that has failed since it last had a connection."""
    _closed: bool = False
    _sweeping: bool = False
    _opening: threading.Lock = field(default_factory=threading.Lock)
    """Of the filler that opens a connection: at once they take three times as long, and the first should have its own soon."""

    @property
    def _lock(self) -> threading.Condition:
        return self.budget.lock

    @property
    def is_ready(self) -> bool:
        return bool(self._ready)

    def begin(self) -> None:
        """Fills itself from now on."""
        self.budget.pools.append(self)
        with self._lock:
            self._sweep_soon()
        for _ in range(FILLERS):
            threading.Thread(target=self._fill, name=f"pool of {self.names.base}", daemon=True).start()

    def take(self, patience: float, later: bool = False) -> str:
        """A unit as it was seeded; whoever asked first gets the first.

        Args:
            patience: seconds to wait for one.
            later: where one is ready, another one is made only when the caller says `budget.wake()`: once it has answered.

        Raises:
            Exhausted: none came free; the message says why.
        """
        ticket = Ticket()
        with self._lock:
            self._waiting.append(ticket)
            self._hand_out()
            late = not ticket.unit  # more are kept ready from now on
            self._wanted = min(max(self._wanted + late, self._leased + len(self._waiting)), self.limit)
            if late or not later:
                self._lock.notify_all()
        if ticket.given.wait(patience):
            return ticket.unit
        with self._lock:
            if ticket.unit:  # at the last moment
                return ticket.unit
            self._waiting.remove(ticket)
            why = next(iter(self._troubles.values()), "") or self._full or f"{self._leased} are leased"
        raise Exhausted(f"no unit of {self.names.base or self.names.template} became free within {patience:g} s: {why}")

    def give_back(self, unit: str, keep: bool = False, later: bool = False) -> None:
        """It is thrown away, or kept as it is.

        Args:
            later: as of `take`; whoever waits for one is not left waiting.
        """
        with self._lock:
            if self.units.get(unit) == "leased":
                self.units[unit] = "kept" if keep else "dirty"
                self.changed()
                if self._waiting or not later:
                    self._lock.notify_all()

    def expire(self, unit: str) -> None:
        """Its lease has ended by itself: it is thrown away now, however many others are waited for, or are to go, too."""
        with self._lock:
            if self.units.get(unit) == "leased":
                self.units[unit] = "over"
                self._sweep_soon()
                self.changed()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self.budget.pools.remove(self)
            self._lock.notify_all()

    def _fill(self) -> None:
        while not self._closed:
            try:
                with self._opened(self._opening) as driver:
                    self.size = size_of(driver, self.names.template)
                    for work in self._work():
                        work(driver)
            except Exception as error:  # whatever it is: without this thread nobody gets a unit any more
                self._give_way(error)

    @contextmanager
    def _opened(self, alone: AbstractContextManager[object]) -> Iterator[Driver]:
        with ExitStack() as stack:
            with alone:
                driver = stack.enter_context(self.opener())
            self._recovered()
            yield driver

    def _recovered(self) -> None:
        with self._lock:
            self._troubles.pop(threading.get_ident(), None)

    def _give_way(self, error: Exception) -> None:
        text = error.message if isinstance(error, EnvctlError) else f"{type(error).__name__}: {error}"
        with self._lock:
            self._troubles[threading.get_ident()] = text
        time.sleep(PAUSE)

    def _sweep_soon(self) -> None:
        """With the lock held. The fillers may be busy for long, so there is a thread for it, and a connection, while there is need."""
        if not self._sweeping and self._first("over"):
            self._sweeping = True
            threading.Thread(target=self._sweep, name=f"ended leases of {self.names.base}", daemon=True).start()

    def _sweep(self) -> None:
        """What is over, and then what else is to go."""
        while self._sweeping and not self._closed:
            try:
                with self._opened(nullcontext()) as driver:  # a connection that does not come about takes a filler a minute
                    while unit := self._next_to_go():
                        self._throw_away(driver, unit)
            except Exception as error:  # as of `_fill`
                self._give_way(error)
        self._recovered()

    def _next_to_go(self) -> str:
        with self._lock:
            unit = "" if self._closed else self._first("over") or self._first("dirty")
            if unit:
                self.units[unit] = "going"
            self._sweeping = bool(unit)
            return unit

    def _first(self, wanted: str) -> str:
        return next((unit for unit, state in self.units.items() if state == wanted), "")

    def _work(self) -> Iterator[Callable[[Driver], None]]:
        """What is to be done next: who waits comes first, and as many units are thrown away meanwhile, so that those do not pile up."""
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
        """What is over goes before units are made that nobody waits for: a server does one as slowly as the other."""
        over = self._first("over")
        dirty = over or self._first("dirty")
        making = sum(state == "making" for state in self.units.values())
        lacking = len(self._waiting) or (0 if over else self._wanted - len(self._ready))
        if lacking > making and not (self._full or (making and dirty)):
            unit = self._new_name()
            self._register(unit)
            return lambda driver: self._make(driver, unit)
        if dirty:
            self.units[dirty] = "going"
            return lambda driver: self._throw_away(driver, dirty)
        return None

    def _register(self, unit: str) -> None:
        self.units[unit] = "making"
        try:
            self.changed()
        except BaseException:  # nobody makes it, and as many fewer would be made from now on
            del self.units[unit]
            raise

    @property
    def _leased(self) -> int:
        return sum(state == "leased" for state in self.units.values())

    @property
    def _full(self) -> str:
        """Why no further unit may be made; one there may always be."""
        there = sum(state != "kept" for state in self.units.values())
        if there >= self.limit:
            return f"{self._leased} of {self.limit} are leased"
        lacking = self.budget.lacking(self.size) if there else ""
        return f"{self._leased} are leased, and more would take more {lacking} than `[leases]` of envctl.toml allows" if lacking else ""

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
            self.units[unit] = "dirty"
            raise
        with self._lock:
            self.units[unit] = "ready"
            self._ready.append(unit)
            self._hand_out()
            self._lock.notify_all()

    def _throw_away(self, driver: Driver, unit: str) -> None:
        try:
            driver.drop(unit)
        except BaseException:
            with self._lock:  # behind the others: what cannot go must not keep them
                self.units.pop(unit, None)
                self.units[unit] = "dirty"
            raise
        with self._lock:
            self.units.pop(unit, None)
            self._lock.notify_all()

    def _hand_out(self) -> None:
        while self._ready and self._waiting:
            ticket, unit = self._waiting.popleft(), self._ready.popleft()
            self.units[unit] = "leased"
            ticket.give(unit)


class Ticket:
    """Somebody's place in the queue."""

    def __init__(self) -> None:
        self.unit = ""
        self.given = threading.Event()

    def give(self, unit: str) -> None:
        self.unit = unit
        self.given.set()
