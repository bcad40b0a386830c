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
ANSWER_SECONDS, ELSEWHERE_SECONDS = 1.5, 10.0
"""For how long a server need not answer once it listens on a port of its own, or on others only: RabbitMQ's name service comes first."""
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
    _open: frozenset[int] | None = None
    _opened: float | None = None
    _opened_own: float | None = None
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
        return not self.service.ports or bool(self._own & (self._look() or set()))

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

    def is_still_silent(self) -> bool:
        """Whether it listens nowhere yet, or has for so short a time that it need not answer yet; False where nobody can tell."""
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
        """Its open ports as seen from inside, now and then; None where nobody can tell: of some images, and of one that has just ended."""
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
