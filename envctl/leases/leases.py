"""The leases of an instance, stored on disk so that a unit is never given to two clients, even after a crash."""

from __future__ import annotations

import math
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from envctl.errors import UsageError, did_you_mean
from envctl.instance.record import Record, stamp
from envctl.instance.units import Names, Unit
from envctl.keeper.data import LEASES
from envctl.keeper.system import start_time
from envctl.leases.budget import Budget, budget_of
from envctl.leases.ledger import Ledger
from envctl.leases.pool import Pool
from envctl.units import opened

TTL, LONGEST = 300.0, 86400.0
"""The seconds that a lease lasts by default, and at most."""
PATIENCE = 60.0
"""The seconds that a client waits for a unit by default."""
LOOK = 1.0
"""The maximum number of seconds between two searches for expired leases; the next expiry itself is awaited exactly."""
SOON = 0.01
"""The seconds before another attempt to end an expired lease."""


class Lease(NamedTuple):
    """A unit that a client has.

    Attributes:
        service: the server to which the unit belongs.
        name: the database, bucket or other thing of which the unit is a copy.
        unit: the name of the unit.
        ends: the expiry, in seconds since 1970.
        pid, start: the id and the start time of the process that has the unit, if it is one of this machine; the lease ends with it.
    """

    service: str
    name: str
    unit: str
    ends: float
    pid: int = 0
    start: str = ""

    @property
    def over(self) -> bool:
        """Whether the lease has expired, or its process has ended."""
        return time.time() >= self.ends or bool(self.pid and start_time(self.pid) != self.start)


class Leases:
    """The leases and pools of an instance. Expired leases are ended in the background.

    Args:
        folder: the state folder of the instance.
        record: returns the instance's record as it is now.
    """

    def __init__(self, folder: Path, record: Callable[[], Record]) -> None:
        self._folder, self._record = folder, record
        self._lock, self._saving = threading.RLock(), threading.Lock()
        self._pools: dict[tuple[str, str], Pool] = {}
        self._leases: dict[str, Lease] = {}
        self._data: dict[str, str] = {}
        self._budget: Budget | None = None
        self._ledger = Ledger(folder / LEASES)
        self._take_up(self._ledger.found)
        threading.Thread(target=self._watch, daemon=True).start()

    def take(self, service: str, name: str | None = None, ttl: float = TTL, patience: float = PATIENCE, pid: int = 0) -> dict[str, Any]:
        """Return a new lease, as the API shows it.

        Args:
            service: the server.
            name: the database, bucket or other thing to copy; None for the first one.
            ttl: the seconds that the lease lasts.
            patience: the seconds to wait for a unit.
            pid: the process with whose end the lease ends; 0 for none.

        Raises:
            UsageError: the service or the thing does not exist, or cannot be leased.
            Exhausted: no unit became free in time.
            DefinitionError: `[leases]` of envctl.toml is invalid.
        """
        unit, names = self._named(service, name)
        self._forget_others(service)
        taken = self._pool(service, names).take(patience, later=True)
        start = start_time(pid) if pid else ""
        lease = Lease(service, names.base, taken, time.time() + ttl, pid if start else 0, start)
        id = secrets.token_urlsafe(9)
        with self._lock:
            self._leases[id] = lease
            self._save()
        return _shown(id, lease, unit)

    def give_back(self, id: str, keep: bool = False) -> dict[str, Any] | None:
        """End a lease, and return it as the API shows it; None if it does not exist. With *keep*, the unit stays for inspection."""
        with self._lock:
            lease = self._leases.pop(id, None)
            pool = self._pools.get((lease.service, lease.name)) if lease else None
        if lease is None:
            return None
        if pool is not None:
            pool.give_back(lease.unit, keep, later=True)
        unit = self._record().services[lease.service].unit
        return {**_shown(id, lease, unit), "kept": keep} if unit is not None else {}

    def is_ready(self, service: str, name: str | None) -> bool:
        """Return whether a unit is ready, so that `take` probably does not wait."""
        with self._lock:
            return any(pool.is_ready for (of, called), pool in self._pools.items() if of == service and name in (None, called))

    def refill(self) -> None:
        """Let the pools create units. Call this after the answers to `take` and `give_back` are sent, because it would delay them."""
        if self._budget is not None:
            self._budget.wake()

    def shown(self) -> list[dict[str, Any]]:
        """Return all current leases, as the API shows them."""
        units = {name: service.unit for name, service in self._record().services.items()}
        with self._lock:
            found = dict(self._leases)
        return [_shown(id, lease, unit) for id, lease in found.items() if (unit := units.get(lease.service)) is not None]

    def pools(self) -> list[dict[str, Any]]:
        """Return for each pool how many units are ready, leased and kept, and the size of a unit in bytes."""
        with self._lock:
            pools = dict(self._pools)
        return [
            {
                "service": service,
                "name": name,
                **{state: list(pool.units.values()).count(state) for state in ("ready", "leased", "kept")},
                **pool.size._asdict(),
            }
            for (service, name), pool in pools.items()
        ]

    def _forget_others(self, service: str) -> None:
        """Drop the pools and leases of a server that has been created again, since its units no longer exist."""
        data = self._record().data.get(service)
        known = data.data_id if data is not None else ""
        with self._lock:
            before = self._data.setdefault(service, known)
            self._data[service] = known
            if before == known:
                return
            for key in [key for key in self._pools if key[0] == service]:
                self._pools.pop(key).close()
            self._leases = {id: lease for id, lease in self._leases.items() if lease.service != service}
            self._save()

    def _named(self, service: str, name: str | None) -> tuple[Unit, Names]:
        services = self._record().services
        if service not in services:
            raise UsageError(f"there is no service '{service}'", hint=did_you_mean(service, list(services)))
        unit = services[service].unit
        if unit is None or not unit.names or not unit.properties:
            can = [each for each, found in services.items() if found.unit is not None and found.unit.names and found.unit.properties]
            hint = f"these can: {', '.join(can) or 'none'}; a lane (`--lanes N`) has a copy of everything else"
            raise UsageError(f"{service} cannot be leased", hint=hint)
        found = next((names for names in unit.names if name in (None, names.base)), None)
        if found is None:
            known = [names.base for names in unit.names]
            raise UsageError(f"{service} has no '{name}'", hint=did_you_mean(str(name), known))
        kept = self._record().data.get(service)
        if kept is None or found.template not in kept.units:
            hint = "`envctl up ... --lanes 1` keeps it; `envctl reset` makes it anew, and keeps it from then on"
            raise UsageError(f"{service}: the seeded data was not kept, so there is nothing to copy", hint=hint)
        return unit, found

    def _pool(self, service: str, names: Names) -> Pool:
        with self._lock:
            pool = self._pools.get((service, names.base))
            if pool is None:
                pool = self._pools[service, names.base] = self._new_pool(service, names)
                pool.begin()
            return pool

    def _new_pool(self, service: str, names: Names) -> Pool:
        if self._budget is None:  # read here, so that the client that wants a lease gets the errors in envctl.toml
            self._budget = budget_of(Path(self._record().project))
        return Pool(names, partial(self._open, service), self._save, budget=self._budget)

    def _open(self, service: str) -> Any:
        unit = self._record().services[service].unit
        assert unit is not None
        return opened(unit.driver, unit.server)

    def _take_up(self, told: Mapping[str, Any]) -> None:
        """Continue the leases of an earlier helper process, and remove all of its other units."""
        services = self._record().services
        for entry in told.get("pools", ()):
            unit = services[entry["service"]].unit if entry["service"] in services else None
            names = next((names for names in unit.names if names.base == entry["name"]), None) if unit else None
            if names is not None:
                pool = self._new_pool(entry["service"], names)
                self._pools[entry["service"], names.base] = pool
                # Units of ended leases (`over`) are removed before others, for whose removal no client waits.
                for one, state in entry["units"].items():
                    pool.units[one] = state if state in ("leased", "kept") else "dirty" if state in ("making", "ready") else "over"
        for id, lease in told.get("leases", {}).items():
            found = Lease(*lease)
            its = self._pools.get((found.service, found.name))
            if its is not None and found.over:
                its.units[found.unit] = "over"
            elif its is not None:
                self._leases[id] = found
        held = {(lease.service, lease.name, lease.unit) for lease in self._leases.values()}
        for (service, name), pool in self._pools.items():
            for one, state in pool.units.items():
                if state == "leased" and (service, name, one) not in held:  # the process was killed before it could answer the client
                    pool.units[one] = "over"
            pool.begin()

    def _save(self) -> None:
        """Write pools and leases to disk. Call this before a change takes effect, so that a unit is on disk before a client gets it."""
        with self._saving:
            pools = [{"service": key[0], "name": key[1], "units": dict(pool.units)} for key, pool in dict(self._pools).items()]
            leases = {id: list(lease) for id, lease in dict(self._leases).items()}
            self._ledger.write({"pools": pools, "leases": leases})

    def _watch(self) -> None:
        while os.path.isdir(self._folder):
            try:
                self._end_over()
            except Exception as error:  # for example, a full disk; leases must still end afterwards
                print(f"leases: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            with self._lock:
                first = min((lease.ends for lease in self._leases.values()), default=math.inf)
            time.sleep(min(LOOK, max(first - time.time(), SOON)))

    def _end_over(self) -> None:
        with self._lock:
            over = {id: lease for id, lease in self._leases.items() if lease.over}
        for id, lease in over.items():
            with self._lock:
                pool = self._pools.get((lease.service, lease.name)) if self._leases.pop(id, None) else None
            if pool is not None:
                pool.expire(lease.unit)


def _shown(id: str, lease: Lease, unit: Unit) -> dict[str, Any]:
    return {"id": id, "service": lease.service, "properties": unit.properties_of(lease.unit, lease.name), "expires": stamp(lease.ends)}
