"""One bring-up on a fake deployment, with everything that its listener received."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from envctl.engines import ServiceState
from envctl.errors import ServiceFailed
from envctl.instance.record import Record
from envctl.lifecycle.bring_up import Run, bring_up
from envctl.lifecycle.events import Event, Events, Phase
from envctl.lifecycle.service_states import STATE
from envctl.plan.model import Check, Plan, ServicePlan
from tests.builders import FakeDeployment, plan_with, record_of, session_in

HEALTH: dict[str, Any] = {"checks": (Check("health"),)}
SERVER: dict[str, Any] = {"step": {"command": "x", "in": "server"}}


class Told:
    """A listener that records events, and counts calls of begin and end."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.begun = 0
        self.ended = 0

    def begin(self, plan: Plan) -> None:
        self.begun += 1

    def event(self, event: Event) -> None:
        self.events.append(event)

    def end(self) -> None:
        self.ended += 1


class Line:
    """A bring-up of the given services.

    Attributes:
        before: the threads that ran before the bring-up.
        patience: seconds to wait for the end of each thread that the bring-up started.
    """

    def __init__(
        self, folder: Path, *services: ServicePlan, deployment: FakeDeployment | None = None, record: Record | None = None
    ) -> None:
        self.deployment = deployment or FakeDeployment()
        self.session = session_in(folder)
        self.listener = Told()
        self.patience = 5.0
        plan = plan_with(*services)
        self.states = dict.fromkeys(plan.services, "pending")
        started = self.session.store.create(record or record_of())
        self.started = Run(self.session, started, plan, Events([self.listener]), 0.0)
        self.before = set(threading.enumerate())

    @property
    def record(self) -> Record:
        """The instance's record, as it is on disk."""
        found = self.session.store.load(self.started.record.id)
        assert found is not None
        return found

    @property
    def told(self) -> list[tuple[str, Phase | None, str]]:
        return [(event.service, event.phase, event.detail) for event in self.listener.events]

    @property
    def left(self) -> list[threading.Thread]:
        """The threads of the bring-up that still run."""
        return [thread for thread in set(threading.enumerate()) - self.before if thread.is_alive()]

    def run(self, seconds: float = 20, services: Iterable[str] | None = None) -> Line:
        self.started.deadline = time.monotonic() + seconds
        try:
            bring_up(self.started, self.deployment, services)
        finally:
            for thread in set(threading.enumerate()) - self.before:
                thread.join(self.patience)
            for event in self.listener.events:
                if event.phase is not None:
                    self.states[event.service] = STATE[event.phase]
        return self

    def fails(self, kind: type[ServiceFailed] = ServiceFailed, seconds: float = 20) -> Any:
        with pytest.raises(kind) as caught:
            self.run(seconds)
        assert type(caught.value) is kind
        return caught.value

    def state_of(self, service: str) -> str:
        """Return the state of *service*, as the last event reported it."""
        phases = [event.phase for event in self.listener.events if event.service == service and event.phase]
        return STATE[phases[-1]] if phases else "pending"

    @property
    def path(self) -> dict[str, list[Phase]]:
        """The phases of each service, in order and without repetitions."""
        found: dict[str, list[Phase]] = {}
        for name, phase, _ in self.told:
            if phase is not None and found.setdefault(name, [])[-1:] != [phase]:
                found[name].append(phase)
        return found


MakeLine = Callable[..., Line]


def healthy(deployment: FakeDeployment, name: str, **changes: Any) -> Callable[[], None]:
    """Return a function that makes the service *name* healthy."""
    return lambda: deployment.seen.__setitem__(name, ServiceState(True, health="healthy", **changes))
