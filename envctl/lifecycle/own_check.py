"""Decide when envctl may run a service's own health check earlier than its engine would."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace

from envctl.engines import CommandResult, Deployment, Execution, ServiceState
from envctl.plan.health import COMPOSED_PATIENCE, SERVER_PATIENCE
from envctl.plan.model import ServicePlan
from envctl.process.threads import begun
from envctl.readiness import NotReady, Target, tcp

LOOK_SECONDS = 0.5
"""The seconds between two checks of the open ports; each check starts a program in the container."""
ANSWER_SECONDS, ELSEWHERE_SECONDS = 1.5, 10.0
"""The seconds to answer once a server listens on its own port, or on others only (RabbitMQ starts its name service first)."""
STATE_SECONDS, END_SECONDS = 1.0, 0.25
"""The seconds for which a known state may be reused, and between two tests whether the result of a running check is still needed."""


@dataclass
class OwnCheck:
    """The health check of one service, from the first attempt on."""

    deployment: Deployment
    service: ServicePlan
    matters: Callable[[], bool] = lambda: True
    """Whether the result is still needed."""
    _state: ServiceState = field(default_factory=ServiceState)
    _asked: float | None = None
    _began: float = field(default_factory=time.monotonic)
    _looked: float | None = None
    _open: frozenset[int] | None = None
    _opened: float | None = None
    _opened_own: float | None = None
    _run: Future[CommandResult] | None = None

    def health(self, target: Target) -> tuple[str, tuple[str, ...]]:
        """Return the engine's current health status, and the command of the check if it may be run already."""
        state = self.state(0.0)
        early = state.check and state.health != "healthy" and not self.may_be_run(target)
        return state.health, () if early else state.check

    def state(self, age: float = STATE_SECONDS) -> ServiceState:
        """Return the state of the service, at most *age* seconds old: each query is a request to the engine."""
        now = time.monotonic()
        if self._asked is None or now - self._asked >= age:
            self._asked, self._state = now, self.deployment.state(self.service.name)
        return self._state

    def may_be_run(self, target: Target) -> bool:
        """Return whether one of the service's ports answers, or enough time has passed.

        Before that, a check could disturb a server that is creating its files. RabbitMQ's client, run as root, would create the cookie,
        which the server then cannot read, so that the server ends (docker-library/rabbitmq#318, #695).
        """
        server = any(check.probe not in ("health", "tcp") for check in self.service.checks)
        if time.monotonic() - self._began > (SERVER_PATIENCE if server else COMPOSED_PATIENCE):
            return True
        if reachable := [name for name, number in target.ports.items() if number]:
            return any(_answers(replace(target, options={"port": name})) for name in reachable)
        return not self.service.ports or bool(self._own & (self._look() or set()))

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Run the check and return its result. A check that hangs is not started a second time, since it cannot be ended in its container.

        Raises:
            NotReady: the check takes longer than the engine allows, or its result is no longer needed.
        """
        name = self.service.name
        if self._run is None or self._run.done():
            self._run = begun(lambda: self.deployment.execute(name, Execution(list(argv))), f"health check of {name}")
            until = time.monotonic() + self.state().check_seconds
            while not self._run.done() and self.matters() and (left := until - time.monotonic()) > 0:
                wait([self._run], min(left, END_SECONDS))
        if not self._run.done():
            raise NotReady("its health check does not end")
        return self._run.result()

    def is_still_silent(self) -> bool:
        """Return whether the service does not listen yet, or has just begun and need not answer yet; False if it is unknown."""
        found, now = self._look(), time.monotonic()
        if not found:
            self._opened = self._opened_own = None
            return found is not None
        self._opened = self._opened or now
        if not self._own & found:
            return now - self._opened < ELSEWHERE_SECONDS
        self._opened_own = self._opened_own or now
        return now - self._opened_own < ANSWER_SECONDS

    @property
    def _own(self) -> set[int]:
        return {port.number for port in self.service.ports}

    def _look(self) -> frozenset[int] | None:
        """Return the open ports as seen from inside, at most LOOK_SECONDS old; None if they cannot be determined in this image or state."""
        now = time.monotonic()
        if self._looked is None or now - self._looked >= LOOK_SECONDS:
            self._looked, self._open = now, None
            with suppress(Exception):
                self._open = frozenset(number for _, number in self.deployment.listening(self.service.name))
        return self._open


def _answers(target: Target) -> bool:
    try:
        tcp.probe(target)
    except (NotReady, OSError):
        return False
    return True
