"""When envctl may run a service's own health check, which is earlier than its engine would."""

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
"""Between two looks from inside, each of which starts a program in the container."""
STATE_SECONDS, END_SECONDS = 1.0, 0.25
"""For how long its state is known where it need not be exact, and how often a check that runs is left to see whether it still matters."""


@dataclass
class OwnCheck:
    """One service's, from when it was first asked."""

    deployment: Deployment
    service: ServicePlan
    matters: Callable[[], bool] = lambda: True
    """Whether anybody waits for it still."""
    _state: ServiceState = field(default_factory=ServiceState)
    _asked: float | None = None
    _began: float = field(default_factory=time.monotonic)
    _looked: float | None = None
    _heard: bool = False
    _run: Future[CommandResult] | None = None

    def health(self, target: Target) -> tuple[str, tuple[str, ...]]:
        """What its engine says of it now, and the command that asks it, where that may be run already."""
        state = self.state(0.0)
        early = state.check and state.health != "healthy" and not self.may_be_run(target)
        return state.health, () if early else state.check

    def state(self, age: float = STATE_SECONDS) -> ServiceState:
        """Its state, which may be known for *age* seconds: each question is a request to its engine."""
        now = time.monotonic()
        if self._asked is None or now - self._asked >= age:
            self._asked, self._state = now, self.deployment.state(self.service.name)
        return self._state

    def may_be_run(self, target: Target) -> bool:
        """Whether one of its ports answers, or has had the time to.

        Until its engine runs it, nobody's check has met a server that is about to make its files. RabbitMQ's client, run as
        root, makes the cookie that the server cannot read then, and the server ends (docker-library/rabbitmq#318, #695).
        """
        server = any(check.probe not in ("health", "tcp") for check in self.service.checks)
        if time.monotonic() - self._began > (SERVER_PATIENCE if server else COMPOSED_PATIENCE):
            return True
        if reachable := [name for name, number in target.ports.items() if number]:
            return any(_answers(replace(target, options={"port": name})) for name in reachable)
        return not self.service.ports or self._listens()

    def run(self, argv: Sequence[str]) -> CommandResult:
        """How it ended. One that hangs would keep all waiting, and is not begun again beside itself: nobody can end it in its container.

        Raises:
            NotReady: it takes longer than its engine would let it, or nobody waits for it any more.
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

    def _listens(self) -> bool:
        """As seen from inside: one that has just ended cannot be looked into, and of some images nobody can tell."""
        now = time.monotonic()
        if self._looked is None or now - self._looked >= LOOK_SECONDS:
            self._looked, self._heard = now, False
            with suppress(Exception):
                numbers = {port.number for port in self.service.ports}
                self._heard = any(number in numbers for _, number in self.deployment.listening(self.service.name))
        return self._heard


def _answers(target: Target) -> bool:
    try:
        tcp.probe(target)
    except (NotReady, OSError):
        return False
    return True
