"""The states of services, which the threads of an `up` share, and report to listeners."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from envctl.lifecycle.events import Events, Phase

REACHED = {
    "started": {"starting", "ready", "seeded", "done"},
    "ready": {"ready", "seeded", "done"},
    "seeded": {"seeded", "done"},
    "done": {"done"},
}
"""Condition to the states in which it holds."""
STATE = {
    Phase.PENDING: "pending", Phase.PREPARING: "pending", Phase.STOPPING: "starting", Phase.STARTING: "starting", Phase.WAITING: "starting",
    Phase.READY: "ready", Phase.SETTING_UP: "ready", Phase.SEEDING: "ready", Phase.SEEDED: "seeded", Phase.DONE: "done",
    Phase.FAILED: "failed",
}  # fmt: skip
"""What a phase is in the words of `--json`."""


class Abandoned(Exception):
    """Another service has failed, so there is nothing more to do."""


@dataclass
class Row:
    """One service."""

    phase: Phase = Phase.PENDING
    detail: str = ""
    ready_ms: int | None = None

    @property
    def state(self) -> str:
        return STATE[self.phase]


class ServiceStates:
    """The rows by service; `failure` is the first thing that went wrong, and ends every wait."""

    def __init__(self, services: Iterable[str], events: Events) -> None:
        self.rows = {name: Row() for name in services}
        self.began = time.monotonic()
        self.failure: BaseException | None = None
        self._events = events
        self._changed = threading.Condition()
        self._telling = threading.RLock()
        """Taken before `_changed`; again by the same thread where a listener itself meets a failure."""

    def set(self, service: str, phase: Phase, detail: str = "") -> None:
        """After a failure nothing but failures counts: what a thread still gets done is no news of an `up` that is over.

        Listeners are told first: whoever waits for the last service goes on, and must find it said. What they are told counts:
        a failure that comes meanwhile is told after it.
        """
        with self._telling:
            if self.failed and phase is not Phase.FAILED:
                return
            self._events.tell(service, phase, detail)
            self._change(service, phase, detail)

    def _change(self, service: str, phase: Phase, detail: str) -> None:
        with self._changed:
            row = self.rows[service]
            row.phase, row.detail = phase, detail
            if row.state in ("ready", "seeded", "done") and row.ready_ms is None:
                row.ready_ms = round((time.monotonic() - self.began) * 1000)
            self._changed.notify_all()

    def fail(self, error: BaseException, service: str = "") -> None:
        """Everything ends, because of *error*, or of what has failed before it.

        That it has failed is known at once, even while a listener is stuck (a terminal that takes no more): an interrupt must not wait.
        """
        with self._changed:
            first = self.failure is None
            self.failure = self.failure or error
            self._changed.notify_all()
        if first and service in self.rows:
            with suppress(Exception):  # a listener that fails, too, must not hide it
                self.set(service, Phase.FAILED, str(error).splitlines()[0] if str(error) else "")

    @property
    def failed(self) -> bool:
        return self.failure is not None

    def go_on(self) -> None:
        """Raises Abandoned where something has failed."""
        if self.failed:
            raise Abandoned

    def wait_for(self, conditions: Mapping[str, str]) -> None:
        """Returns when all *conditions* (service to condition) hold; services that are not brought up count as there.

        Raises:
            Abandoned: something has failed before that.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.failed or self._hold(conditions))
        self.go_on()

    def missing(self, conditions: Mapping[str, str]) -> list[str]:
        """Those of *conditions* that do not hold yet, for people: `cache to be ready`."""
        return [f"{name} to be {condition}" for name, condition in conditions.items() if not self._hold({name: condition})]

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
