"""Wait until a service is ready, and give up as soon as waiting cannot help."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envctl.engines import Execution
from envctl.errors import ServiceFailed
from envctl.lifecycle.barred import Barred
from envctl.lifecycle.events import Phase
from envctl.lifecycle.evidence import evidence_of, failure
from envctl.lifecycle.not_ready import heard_elsewhere, heard_instead, not_ready
from envctl.lifecycle.own_check import OwnCheck
from envctl.plan.model import Check, ServicePlan
from envctl.readiness import LoginRefused, NotReady, Target
from envctl.readiness.wait import PASSES, History, wait_until_ready

if TYPE_CHECKING:
    from envctl.lifecycle.bring_up import BringUp

SETTLED_SECONDS, COMPOSED_SECONDS, POLL_SECONDS = 1.0, 0.25, 0.025
"""Seconds: how long a service without checks must run; the same for a Compose file (a moment, as for Compose); between two checks."""
END_POLL_SECONDS = 0.05
HEALTH = Check("health")
REFUSED_SECONDS, GUESSED_REFUSED_SECONDS = 5.0, 2.0
"""The seconds with nothing but refused logins after which waiting cannot help: in general, and for guessed checks."""
ATTEMPT_TIMEOUT = 1.0
"""The seconds for one attempt; they are few, so that an exit is noticed between two attempts."""


def until_ended(work: BringUp, service: ServicePlan) -> None:
    """Wait until a job has exited with 0.

    Raises:
        ServiceFailed: the job has exited with another code.
        Abandoned: another service has failed.
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
    """Wait until the checks of the service have passed. Then its state is `ready` if set-up or seeds follow, or `done` if it ended with 0.

    Raises:
        ServiceFailed, PortTaken: the service cannot become ready, or not in its time.
        Abandoned: another service has failed.
    """
    own_check = OwnCheck(work.deployment, service, lambda: not (work.states.failed or work.exits.ended(service)))
    waiting = _Waiting(work, service, _checks(work, service), own_check, Barred(work.deployment, service))
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
    """Return the checks of the service. If the definition states none, the health check of the image comes before guessed checks."""
    unsaid = all("patience" in check.options for check in service.checks)
    if unsaid and work.deployment.state(service.name).health:
        return (HEALTH, *(check for check in service.checks if check.probe != "tcp"))
    return service.checks


@dataclass(frozen=True)
class _Waiting:
    work: BringUp
    service: ServicePlan
    checks: tuple[Check, ...]
    own_check: OwnCheck
    barred: Barred

    def wait(self) -> None:
        work, service = self.work, self.service
        history = work.histories[service.name] = History()
        guessed = [check for check in self.checks if "patience" in check.options]
        try:
            if asked := [check for check in self.checks if check not in guessed]:
                self._pass(asked, history, self._seconds(asked))
        except NotReady as error:
            work.states.go_on()
            if not work.exits.ended(service):
                raise self._not_ready(history, asked, error) from None
            return
        try:
            if guessed:
                self._pass(guessed, history, max(check.options["patience"] for check in guessed))
        except NotReady as error:
            # Whether any program listens on a port that a Compose file publishes is unknown.
            work.states.go_on()
            if not work.exits.ended(service):
                work.states.set(service.name, Phase.READY, self._restarting() or self._unproved(error))

    def _unproved(self, error: NotReady) -> str:
        if isinstance(error, LoginRefused):
            return "it does not accept the credentials in its Compose file"
        if "tcp:" in str(error):
            return heard_instead(self.work, self.service, str(error))
        return heard_elsewhere(self.work, self.service) or f"it runs; {error}"

    def _seconds(self, checks: Sequence[Check]) -> float:
        """Return the seconds for *checks*; a health check has at least the time that its engine gives it."""
        own = self.work.deployment.state(self.service.name).patience if HEALTH in checks else 0.0
        return max(self.service.ready_timeout, own)

    def _pass(self, checks: Sequence[Check], history: History, seconds: float) -> None:
        """Wait until *checks* have passed.

        A service that its Compose file restarts has the time of the whole command instead of *seconds*. Each start resets the time of
        a guessed check.

        Raises:
            NotReady: the checks have not passed in time.
        """
        began = time.monotonic()
        targets = self._targets(checks)
        guess = "patience" in checks[0].options
        passes = 1 if list(checks) == [HEALTH] else PASSES

        def given_up(_: object = None) -> bool:
            return self._given_up(history, began, seconds, guess)

        wait_until_ready(targets, history, given_up, passes)
        while (ended := self.work.exits.times.get(self.service.name)) is not None:
            # Docker's relay accepts connections before a restarted container can answer, and until the old container's network is removed.
            self._await_restart(history, given_up)
            wait_until_ready(targets, history, given_up, 1)
            if self.work.exits.times[self.service.name] == ended:
                return
            time.sleep(POLL_SECONDS)

    def _await_restart(self, history: History, given_up: Callable[[], bool]) -> None:
        """Wait until the service runs again: before that, a check would see results of the previous run, such as its log lines."""
        while True:
            self.work.states.go_on()
            restarting = self._restarting()
            if given_up():
                raise NotReady(restarting or f"it ended with {self.work.exits.statuses.get(self.service.name)}")
            if not restarting:
                return
            history.add(restarting)
            time.sleep(POLL_SECONDS)

    def _restarting(self) -> str:
        """Return a message if the service has ended and is about to be restarted; empty otherwise."""
        work, name = self.work, self.service.name
        if name not in work.exits.times or not work.deployment.state(name).restarting:
            return ""
        return f"it ended with {work.exits.statuses.get(name, 'an error')}, and is being started again"

    def _targets(self, checks: Sequence[Check]) -> list[tuple[str, Target]]:
        return [(check.probe, self._target(check, replica)) for check in checks for replica in range(self.service.replicas)]

    def _given_up(self, history: History, began: float, seconds: float, guess: bool) -> bool:
        exits, name = self.work.exits, self.service.name
        until = seconds + (max(began, exits.times.get(name, began)) if guess else began)
        if self.service.ready_timeout < seconds and time.monotonic() > began + self.service.ready_timeout and not guess:
            until = began if self.own_check.state().health == "unhealthy" else until  # the engine has waited as long as the file says
        late = time.monotonic() > until and (guess or name not in exits.statuses or not self.own_check.state().restarts)
        late = late and not (guess and self._is_still_silent(began))
        refused = history.refused_seconds > GUESSED_REFUSED_SECONDS if guess else self._refused(history)
        return self.work.states.failed or late or exits.ended(self.service) or refused or self.barred.after_failure() is not None

    def _is_still_silent(self, began: float) -> bool:
        """Return whether a known server does not listen yet, as it is creating its files: it has the time of one with a published port."""
        silent = max(check.options.get("silent", 0.0) for check in self.checks)
        return time.monotonic() < began + silent and self.own_check.is_still_silent()

    def _refused(self, history: History) -> bool:
        """Return whether refused logins are final: a new server may be about to create its users, one that was up before is not."""
        return self.work.was_up and history.refused_seconds > REFUSED_SECONDS

    def _not_ready(self, history: History, asked: Sequence[Check], error: NotReady) -> ServiceFailed:
        name = self.service.name
        if why := self.barred.why:
            evidence = evidence_of(self.work, self.service, "readiness", advice=why.hint)
            return ServiceFailed(f"{name} cannot be reached: {why.message}", evidence)
        if self._refused(history):
            reset = f"`envctl reset {self.work.called} {name}` creates its data again"
            advice = f"if its data was created with other credentials: {reset}; or use the credentials with which it was created"
            message = f"{name} does not accept the credentials from the definition: {error}"
            return ServiceFailed(message, evidence_of(self.work, self.service, "readiness", advice=advice))
        return not_ready(self.work, self.service, self._targets(asked), error, self._seconds(asked))

    def settle(self) -> None:
        """Wait until a service without checks has run for a while: most failures come immediately. One that ran before passes at once.

        A service that its Compose file restarts has the time of the whole command.
        """
        exits, name = self.work.exits, self.service.name
        if exits.has_run_all_along(self.service):
            return
        self._await_running()
        until = time.monotonic() + (COMPOSED_SECONDS if self.service.from_compose else SETTLED_SECONDS)
        while time.monotonic() < until and not exits.ended(self.service):
            self.work.states.go_on()
            if exits.statuses.pop(name, 0):
                self.work.states.set(name, Phase.WAITING, "it has ended, and is being started again")
                until = time.monotonic() + 2 * SETTLED_SECONDS
            time.sleep(POLL_SECONDS)

    def _await_running(self) -> None:
        """Wait until the service runs: a cluster starts it some time after the request.

        Raises:
            ServiceFailed: it does not run within its time to become ready.
        """
        work, service, until = self.work, self.service, time.monotonic() + self.service.ready_timeout
        while service.name not in work.exits.statuses and not work.deployment.state(service.name).running:
            work.states.go_on()
            if time.monotonic() > until:
                message = f"{service.name} was started, but is not running after {service.ready_timeout:g} s"
                raise failure(work, service, message, "start")
            time.sleep(POLL_SECONDS)

    def _target(self, check: Check, replica: int) -> Target:
        deployment, service = self.work.deployment, self.service
        at = deployment.probe_ports(service)
        ports = {name: number + replica for name, number in at.items()}
        named = check.options.get("port")
        port = ports.get(str(named)) or next((ports[p.name] for p in service.ports if p.number == named), None)
        target = Target(
            host=str(service.outside.get("host") or self.work.plan.setting.addresses.outside_host),
            port=port or _main_port(service, at) + replica,
            ports=ports,
            properties=service.outside,
            options={key: value for key, value in check.options.items() if key != "port"},
            timeout=ATTEMPT_TIMEOUT,
            lasting=self.work.plan.setting.engine.lasting_seconds,
            run=self.own_check.run if check == HEALTH else lambda argv: deployment.execute(service.name, Execution(list(argv))),
            logs=lambda: deployment.logs(service.name),
            health=lambda: self.own_check.health(target),
        )
        return target


def _main_port(service: ServicePlan, at: Mapping[str, int]) -> int:
    """Return the number by which the port in the service's outside address can be reached now."""
    main = int(service.outside.get("port") or 0)
    return next((at[port.name] for port in service.ports if port.outside == main and port.name in at), main)
