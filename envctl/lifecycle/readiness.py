"""Waiting until a service is ready, and giving up as soon as that makes no sense any more."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envctl.engines import Execution
from envctl.errors import OutOfTime, ServiceFailed
from envctl.lifecycle.events import Phase
from envctl.lifecycle.evidence import evidence_of, failure
from envctl.plan.model import Check, ServicePlan
from envctl.readiness import NotReady, Target
from envctl.readiness.wait import History, wait_until_ready

if TYPE_CHECKING:
    from envctl.lifecycle.bring_up import BringUp

SETTLED_SECONDS, POLL_SECONDS = 1.0, 0.025
"""How long a service without any check must run, and how often it is looked at."""
END_POLL_SECONDS = 0.05
REFUSED_SECONDS = 5.0
"""Of nothing but a refused login, after which waiting is no use."""
ATTEMPT_TIMEOUT = 1.0
"""Seconds of one attempt: short, so that an exit is noticed between two."""


def until_ended(work: BringUp, service: ServicePlan) -> None:
    """Returns when a job has ended with 0.

    Raises:
        ServiceFailed: with another status.
        Abandoned
    """
    while True:
        work.states.go_on()
        state = work.deployment.state(service.name)
        if not state.running and state.status is not None:
            break
        time.sleep(END_POLL_SECONDS)
    if state.status:
        raise failure(work, service, f"{service.name} ended with {state.status}", "run", state.status)


def until_ready(work: BringUp, service: ServicePlan) -> None:
    """Returns when its checks have passed; it is `ready` then where there is more to do, or `done` where it has ended well.

    Raises:
        ServiceFailed, OutOfTime, PortTaken: it will not get ready, or not in its time.
        Abandoned
    """
    waiting = _Waiting(work, service, _checks(work, service))
    if waiting.checks:
        work.states.set(service.name, Phase.WAITING)
        waiting.wait()
    else:
        waiting.settle()
    if work.exits.ended(service):
        if not work.exits.ended_well(service):
            raise work.exits.error(service)
        work.states.set(service.name, Phase.DONE)
    elif service.steps or service.sets_up:
        work.states.set(service.name, Phase.READY)


def _checks(work: BringUp, service: ServicePlan) -> tuple[Check, ...]:
    """Where nobody says how it is ready, the health check that its image brings along does."""
    unsaid = not service.checks or "patience" in service.checks[0].options
    if unsaid and work.deployment.state(service.name).health:
        return (Check("health"),)
    return service.checks


@dataclass(frozen=True)
class _Waiting:
    work: BringUp
    service: ServicePlan
    checks: tuple[Check, ...]

    def wait(self) -> None:
        work, service = self.work, self.service
        history = work.histories[service.name] = History()
        # Of a port that a Compose file publishes nobody knows whether somebody listens there.
        patience = min((check.options["patience"] for check in self.checks if "patience" in check.options), default=None)
        until = time.monotonic() + (service.ready_timeout if patience is None else patience)
        targets = [(check.probe, self._target(check, replica)) for check in self.checks for replica in range(service.replicas)]
        try:
            wait_until_ready(targets, history, lambda _: self._given_up(history, until))
        except NotReady as error:
            work.states.go_on()
            if work.exits.ended(service):
                return
            if patience is None:
                raise self._not_ready(history, error) from None
            work.states.set(service.name, Phase.READY, "it opens no port")

    def _given_up(self, history: History, until: float) -> bool:
        over = self.work.states.failed or time.monotonic() > until
        return over or self.work.exits.ended(self.service) or self._refused(history)

    def _refused(self, history: History) -> bool:
        """A server that was up before has its users already; a new one may be about to make them."""
        return self.work.was_up and history.refused_seconds > REFUSED_SECONDS

    def _not_ready(self, history: History, error: NotReady) -> ServiceFailed:
        name = self.service.name
        if self._refused(history):
            advice = f"if its data was made with others: `envctl reset NAME {name}` makes it anew; or give it those that it has"
            message = f"{name} does not know the credentials that the definition gives it: {error}"
            return ServiceFailed(message, evidence_of(self.work, self.service, "readiness", advice=advice))
        message = f"{name} did not get ready within {self.service.ready_timeout:g} s: {error}"
        return OutOfTime(message, evidence_of(self.work, self.service, "readiness"))

    def settle(self) -> None:
        """One that nobody can ask is up when it has run for a while: most that fail at all fail at once. One that ran before has."""
        if self.work.exits.has_run_all_along(self.service):
            return
        until = time.monotonic() + SETTLED_SECONDS
        while time.monotonic() < until and self.service.name not in self.work.exits.statuses:
            self.work.states.go_on()
            time.sleep(POLL_SECONDS)

    def _target(self, check: Check, replica: int) -> Target:
        deployment, service = self.work.deployment, self.service
        at = deployment.probe_ports(service)
        ports = {name: number + replica for name, number in at.items()}
        named = check.options.get("port")
        port = ports.get(str(named)) or next((ports[p.name] for p in service.ports if p.number == named), None)
        return Target(
            host=str(service.outside.get("host") or self.work.plan.setting.addresses.outside_host),
            port=port or _main_port(service, at) + replica,
            ports=ports,
            properties=service.outside,
            options={key: value for key, value in check.options.items() if key != "port"},
            timeout=ATTEMPT_TIMEOUT,
            run=lambda argv: deployment.execute(service.name, Execution(list(argv))),
            logs=lambda: deployment.logs(service.name),
            health=lambda: deployment.state(service.name).health,
        )


def _main_port(service: ServicePlan, at: Mapping[str, int]) -> int:
    """Of its address outside, which leads through another port where a kind says so."""
    main = int(service.outside.get("port") or 0)
    return next((at[port.name] for port in service.ports if port.outside == main and port.name in at), main)
