"""A pool of units of one database, bucket or other thing: created in advance, leased in the order of requests, removed after use.

making --> ready --> leased --> dirty --> going --> removed
                        |--> over, if its lease has expired: it is removed before further units are prepared
                        `--> kept for inspection, as long as the server exists
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
"""The number of units that are kept ready at first, and at most, however small they are."""
FILLERS = 2
"""The number of threads that create and remove units, each with its own connection."""
NUMBERS = range(16, 256)
"""The numbers of logical databases for units: a server has 256 of them, and the first ones are for its users."""
LONGEST = 40
"""The number of characters of the base's name that are used in the name of a unit."""
PAUSE = 1.0
"""The seconds before another attempt after an error of the server."""
Opener = Callable[[], AbstractContextManager[Driver]]


class Exhausted(EnvctlError):
    """No unit became free in time."""


@dataclass
class Pool:
    """A pool. Its threads create and remove units after `begin`.

    Attributes:
        names: the names of the thing of which the units are copies.
        opener: opens a connection to the server.
        changed: called with the lock held, before a unit is created and after a unit is no longer leased, so that the state is stored.
            Other changes need not be stored: whether a unit is leased also shows in the leases.
        limit: the maximum number of units, leased or ready.
        budget: the limits for all pools together.
        size: the size of one unit, in bytes.
    """

    names: Names
    opener: Opener
    changed: Callable[[], None]
    limit: int = MOST
    units: dict[str, str] = field(default_factory=dict)
    """Every unit that may exist at the server, and its state: making, ready, leased, dirty, over, going or kept."""
    budget: Budget = field(default_factory=lambda: Budget(Size(1 << 40, 1 << 40)))
    size: Size = UNKNOWN
    _ready: deque[str] = field(default_factory=deque)
    _waiting: deque[Ticket] = field(default_factory=deque)
    _wanted: int = FIRST
    _troubles: dict[int, str] = field(default_factory=dict)
    """Thread id to error message, for each thread that has failed and has no new connection yet."""
    _closed: bool = False
    _sweeping: bool = False
    _opening: threading.Lock = field(default_factory=threading.Lock)
    """Held while a thread opens its connection: two at the same time take three times as long, and the first is needed soon."""

    @property
    def _lock(self) -> threading.Condition:
        return self.budget.lock

    @property
    def is_ready(self) -> bool:
        """Whether a unit is ready."""
        return bool(self._ready)

    def begin(self) -> None:
        """Start the threads that create and remove units."""
        self.budget.pools.append(self)
        with self._lock:
            self._sweep_soon()
        for _ in range(FILLERS):
            threading.Thread(target=self._fill, name=f"pool of {self.names.base}", daemon=True).start()

    def take(self, patience: float, later: bool = False) -> str:
        """Lease a unit with the seeded data, and return its name. Requests are served in their order.

        Args:
            patience: the seconds to wait for a unit.
            later: whether to create the next unit only after the caller has called `budget.wake()`, if a unit is ready now.

        Raises:
            Exhausted: no unit became free in time; the message says why.
        """
        ticket = Ticket()
        with self._lock:
            self._waiting.append(ticket)
            self._hand_out()
            late = not ticket.unit  # from now on, more units are kept ready
            self._wanted = min(max(self._wanted + late, self._leased + len(self._waiting)), self.limit)
            if late or not later:
                self._lock.notify_all()
        if ticket.given.wait(patience):
            return ticket.unit
        with self._lock:
            if ticket.unit:  # it was leased just after the wait ended
                return ticket.unit
            self._waiting.remove(ticket)
            why = next(iter(self._troubles.values()), "") or self._full or f"{self._leased} are leased"
        raise Exhausted(f"no unit of {self.names.base or self.names.template} became free within {patience:g} s: {why}")

    def give_back(self, unit: str, keep: bool = False, later: bool = False) -> None:
        """End the lease of a unit; remove the unit, or with *keep* leave it as it is.

        Args:
            later: as in `take`, except if other clients wait for a unit.
        """
        with self._lock:
            if self.units.get(unit) == "leased":
                self.units[unit] = "kept" if keep else "dirty"
                self.changed()
                if self._waiting or not later:
                    self._lock.notify_all()

    def expire(self, unit: str) -> None:
        """End an expired lease, and remove its unit now, even if other units have to be created or removed."""
        with self._lock:
            if self.units.get(unit) == "leased":
                self.units[unit] = "over"
                self._sweep_soon()
                self.changed()

    def close(self) -> None:
        """Stop the threads; the units stay."""
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
            except Exception as error:  # any error: without this thread, the pool creates no units
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
        """Start a thread that removes expired units, because the other threads may be busy for long. Call this with the lock held."""
        if not self._sweeping and self._first("over"):
            self._sweeping = True
            threading.Thread(target=self._sweep, name=f"ended leases of {self.names.base}", daemon=True).start()

    def _sweep(self) -> None:
        """Remove expired units, and then all other used ones."""
        while self._sweeping and not self._closed:
            try:
                with self._opened(nullcontext()) as driver:  # without the lock: an opening that fails can hold it for a minute
                    while unit := self._next_to_go():
                        self._throw_away(driver, unit)
            except Exception as error:  # any error, as in `_fill`
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
        """Yield what to do next. Waiting clients come first, but used units are removed in between, so that they do not accumulate."""
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
        """Return what to do next; None for nothing. Expired units are removed before units are created for which no client waits."""
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
        except BaseException:  # the unit is not created; if it stayed here, it would count for ever
            del self.units[unit]
            raise

    @property
    def _leased(self) -> int:
        return sum(state == "leased" for state in self.units.values())

    @property
    def _full(self) -> str:
        """Why the pool must not create another unit; empty if it may. One unit is always allowed."""
        there = sum(state != "kept" for state in self.units.values())
        if there >= self.limit:
            return f"{self._leased} of {self.limit} are leased"
        lacking = self.budget.lacking(self.size) if there else ""
        return f"{self._leased} are leased, and more would take more {lacking} than `[leases]` of envctl.toml allows" if lacking else ""

    def _new_name(self) -> str:
        """Return a name that the server accepts: the number of a logical database, or the base's name with a random suffix."""
        base = self.names.base
        if base.isdecimal():
            taken = {base, self.names.template, *self.names.lanes, *self.units}
            return next(number for number in map(str, NUMBERS) if number not in taken)
        if not base:  # the units are prefixes of names
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
            with self._lock:  # moved to the end, so that it does not block the removal of others
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
    """A place in the queue for a unit; *given* is set when *unit* is the name of one."""

    def __init__(self) -> None:
        self.unit = ""
        self.given = threading.Event()

    def give(self, unit: str) -> None:
        """Give a unit to the waiting client."""
        self.unit = unit
        self.given.set()
