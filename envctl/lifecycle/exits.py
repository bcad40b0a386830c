"""Decide what it means when a service exits."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from envctl.errors import EnvctlError
from envctl.lifecycle.evidence import failure
from envctl.plan.model import ServicePlan

if TYPE_CHECKING:
    from envctl.lifecycle.bring_up import BringUp

MEANINGS: dict[int | None, str] = {
    127: "(its program was not found in the image)",
    137: "(killed: out of memory, or by somebody)",
}


NO_PROGRAM_HERE = "(a program was not found on this machine)"


class Exits:
    """The exits of services during one `bring_up`.

    Attributes:
        statuses: service to its last exit code.
        times: service to the time of its last exit, on the clock of `time.monotonic`.
    """

    def __init__(self, work: BringUp) -> None:
        self._work = work
        self.statuses: dict[str, int] = {}
        self.times: dict[str, float] = {}
        self._ran_before: dict[str, str] = {}

    def happened(self, service: str, status: int) -> None:
        """Handle an exit that the engine reports; threads that wait for a service to become ready check its exits themselves."""
        self.statuses[service], self.times[service] = status, time.monotonic()
        plan, row = self._work.plan.services.get(service), self._work.states.rows.get(service)
        if plan is None or row is None or plan.once or row.state not in ("ready", "seeded") or self.ended_well(plan):
            return
        try:
            if not self._work.deployment.state(service).restarts:
                self._work.states.fail(self.error(plan), service)
        except BaseException as error:  # the engine's thread would drop it
            self._work.states.fail(error, service)

    def look_again(self, services: Iterable[ServicePlan]) -> None:
        """Fail if a service has ended unnoticed: it has no check, or ended between two checks."""
        for service in services:
            if not self._work.states.failed and not service.once and self.ended(service) and not self.ended_well(service):
                self._work.states.fail(self.error(service), service.name)

    def ended(self, service: ServicePlan) -> bool:
        """Return whether the service has ended and will not be restarted."""
        if service.name not in self.statuses:
            return False
        state = self._work.deployment.state(service.name)
        return not state.running and not state.restarts

    def ended_well(self, service: ServicePlan) -> bool:
        """Return whether the service of a Compose file has ended with 0: Compose files do not mark jobs, so it counts as a job."""
        return service.from_compose and self.statuses.get(service.name) == 0

    def done_before(self, service: ServicePlan) -> bool:
        """Return whether the service is a job that an earlier command has run."""
        if not service.once or service.name in self._work.again:
            return False
        state = self._work.deployment.state(service.name)
        return not state.running and state.status == 0

    def remember_running(self, service: ServicePlan) -> None:
        """Remember the container of a running service without checks, to recognise later that it was not restarted."""
        if not (service.checks or service.once) and (state := self._work.deployment.state(service.name)).running:
            self._ran_before[service.name] = state.id

    def has_run_all_along(self, service: ServicePlan) -> bool:
        """Return whether the service is running in the container that `remember_running` saw."""
        return self._ran_before.get(service.name, "") == self._work.deployment.state(service.name).id != ""

    def error(self, service: ServicePlan) -> EnvctlError:
        """Return the error that explains the exit, with evidence."""
        status = self.statuses.get(service.name)
        known = self._work.deployment.exit_reason(service)
        if known is not None:
            return known
        row = self._work.states.rows[service.name]
        step = "start" if row.state == "starting" else row.state
        process = self._work.plan.setting.runs_as_process(service.name)
        meaning = NO_PROGRAM_HERE if process and status == 127 else MEANINGS.get(status, "")
        return failure(self._work, service, f"{service.name} ended with {status} {meaning}".rstrip(), step, status)
