"""The states of services, which the threads of an `up` share and report to listeners."""

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
"""Condition to the states that satisfy it."""
STATE = {
    Phase.PENDING: "pending", Phase.PREPARING: "pending", Phase.STOPPING: "starting", Phase.STARTING: "starting", Phase.WAITING: "starting",
    Phase.READY: "ready", Phase.SETTING_UP: "ready", Phase.SEEDING: "ready", Phase.SEEDED: "seeded", Phase.DONE: "done",
    Phase.FAILED: "failed",
}  # fmt: skip
"""Phase to the state that `--json` shows."""


class Abandoned(Exception):
    """Another service has failed, so that the work on this one ends."""


@dataclass
class Row:
    """The progress of one service."""

    phase: Phase = Phase.PENDING
    detail: str = ""
    ready_ms: int | None = None

    @property
    def state(self) -> str:
        """The state that `--json` shows."""
        return STATE[self.phase]


class ServiceStates:
    """The progress of all services. `failure` is the first error, and ends every wait."""

    def __init__(self, services: Iterable[str], events: Events) -> None:
        self.rows = {name: Row() for name in services}
        self.began = time.monotonic()
        self.failure: BaseException | None = None
        self._events = events
        self._changed = threading.Condition()
        self._telling = threading.RLock()
        """The lock for reports. It is acquired before `_changed`, and again by the same thread if a listener causes a failure."""

    def set(self, service: str, phase: Phase, detail: str = "") -> None:
        """Set the phase of a service. After a failure, only failures are accepted: later progress of a thread is of no interest.

        Listeners are called first, so that the last phase is reported before a waiting thread continues. A reported phase counts: a failure
        that occurs in the meantime is reported after it.
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
        """End everything because of *error*, or of the earlier failure if there is one.

        The failure is set before listeners are called, since a listener may block (on a stopped terminal) and an interrupt must not wait
        for it.
        """
        with self._changed:
            first = self.failure is None
            self.failure = self.failure or error
            self._changed.notify_all()
        if first and service in self.rows:
            with suppress(Exception):  # a failing listener must not hide the error
                self.set(service, Phase.FAILED, str(error).splitlines()[0] if str(error) else "")

    @property
    def failed(self) -> bool:
        """Whether a service has failed."""
        return self.failure is not None

    def go_on(self) -> None:
        """Raise Abandoned if a service has failed."""
        if self.failed:
            raise Abandoned

    def wait_for(self, conditions: Mapping[str, str]) -> None:
        """Wait until all *conditions* (service to condition) hold; a service that is not brought up satisfies every condition.

        Raises:
            Abandoned: a service has failed before that.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.failed or self._hold(conditions))
        self.go_on()

    def missing(self, conditions: Mapping[str, str]) -> list[str]:
        """Return the *conditions* that do not hold yet, as text for people: `cache to be ready`."""
        return [f"{name} to be {condition}" for name, condition in conditions.items() if not self._hold({name: condition})]

    def _hold(self, conditions: Mapping[str, str]) -> bool:
        return all(self.rows[name].state in REACHED[condition] for name, condition in conditions.items() if name in self.rows)

    def wait_all(self, finals: Mapping[str, str], deadline: float) -> bool:
        """Return whether every service reaches its final condition before *deadline* (on the monotonic clock) and before any failure.

        The wait has a short timeout, so that the waiting thread handles signals.
        """
        with self._changed:
            while not self.failed and not self._hold(finals):
                rest = deadline - time.monotonic()
                if rest <= 0:
                    return False
                self._changed.wait(min(rest, 0.5))
            return not self.failed
