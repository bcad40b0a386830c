"""Limit concurrent starts, the most important first: a daemon does not start containers faster when all are requested at once."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from envctl.plan.model import Plan


@dataclass
class StartLimiter:
    """A limit of *width* concurrent starts; waiting threads enter by priority, greater first."""

    width: int
    _inside: int = 0
    _waiting: list[tuple[float, int]] = field(default_factory=list)
    _tickets: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def enter(self, priority: float) -> Iterator[None]:
        """Wait for a free place, and hold it inside the block."""
        with self._changed:
            ticket = (-priority, self._tickets)
            self._tickets += 1
            heapq.heappush(self._waiting, ticket)
            self._changed.wait_for(lambda: self._inside < self.width and self._waiting[0] == ticket)
            heapq.heappop(self._waiting)
            self._inside += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()


def priorities(plan: Plan) -> Mapping[str, float]:
    """Return the remaining work after each service: its own start and seeds, and those of the longest chain of services that need it."""
    found: dict[str, float] = {}
    for service in reversed(list(plan.services.values())):  # each service comes after the services that it needs
        own = service.slow + len(service.steps)
        followers = [found[s.name] for s in plan.services.values() if service.name in s.needs and s.name in found]
        found[service.name] = own + max(followers, default=0.0)
    return found
