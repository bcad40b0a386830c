"""How far each service is: what the threads of an `up` tell each other, and the reader of its table."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

STATES = ("pending", "starting", "ready", "seeded", "done", "failed", "stopped")
REACHED = {
    "started": {"starting", "ready", "seeded", "done"},
    "ready": {"ready", "seeded", "done"},
    "seeded": {"seeded", "done"},
    "done": {"done"},
}
"""The states in which a condition holds."""


@dataclass
class Row:
    state: str = "pending"
    detail: str = ""
    since: float = 0.0
    ready_ms: int | None = None


Listener = Callable[[str, Row], None]


@dataclass
class ServiceStates:
    """States by service; `failure` is the first thing that went wrong, and ends every wait."""

    rows: dict[str, Row]
    listener: Listener
    began: float = field(default_factory=time.monotonic)
    failure: BaseException | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @classmethod
    def of(cls, services: Iterable[str], listener: Listener) -> ServiceStates:
        return cls({name: Row() for name in services}, listener)

    def set(self, service: str, state: str, detail: str = "") -> None:
        with self._changed:
            row = self.rows[service]
            row.state, row.detail, row.since = state, detail, time.monotonic()
            if state in ("ready", "seeded", "done") and row.ready_ms is None:
                row.ready_ms = round((row.since - self.began) * 1000)
            self._changed.notify_all()
        self.listener(service, row)

    def say(self, service: str, detail: str) -> None:
        if service in self.rows:
            self.rows[service].detail = detail
            self.listener(service, self.rows[service])

    def fail(self, error: BaseException) -> None:
        with self._changed:
            self.failure = self.failure or error
            self._changed.notify_all()

    @property
    def failed(self) -> bool:
        return self.failure is not None

    def wait_for(self, conditions: Mapping[str, str]) -> bool:
        """Whether all *conditions* (service to condition) came true before anything failed."""
        with self._changed:
            self._changed.wait_for(lambda: self.failed or self._hold(conditions))
            return not self.failed

    def _hold(self, conditions: Mapping[str, str]) -> bool:
        return all(self.rows[name].state in REACHED[condition] for name, condition in conditions.items() if name in self.rows)

    def wait_all(self, finals: Mapping[str, str], deadline: float) -> bool:
        """Whether every service reached its final condition before *deadline* (time.monotonic) and any failure.

        It wakes up now and then, so that a signal is handled by the thread that waits.
        """
        with self._changed:
            while not self.failed and not self._hold(finals):
                rest = deadline - time.monotonic()
                if rest <= 0:
                    return False
                self._changed.wait(min(rest, 0.5))
            return not self.failed
