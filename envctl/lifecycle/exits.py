"""Services that exit: which ones may do so, and what it means if one does."""

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
    """The exits of one `bring_up`, by service.

    Attributes:
        statuses: that of the last one.
        times: when that was, on the monotonic clock.
    """

    def __init__(self, work: BringUp) -> None:
        self._work = work
        self.statuses: dict[str, int] = {}
        self.times: dict[str, float] = {}
        self._ran_before: dict[str, str] = {}

    def happened(self, service: str, status: int) -> None:
        """An engine's news; whoever waits for a service that is not ready yet asks by itself."""
        self.statuses[service], self.times[service] = status, time.monotonic()
        plan, row = self._work.plan.services.get(service), self._work.states.rows.get(service)
        if plan is None or row is None or plan.once or row.state not in ("ready", "seeded") or self.ended_well(plan):
            return
        try:
            if not self._work.deployment.state(service).restarts:
                self._work.states.fail(self.error(plan), service)
        except BaseException as error:  # in the engine's own thread nobody would meet it
            self._work.states.fail(error, service)

    def look_again(self, services: Iterable[ServicePlan]) -> None:
        """One that has no check, or ended between two looks, must not pass for up."""
        for service in services:
            if not self._work.states.failed and not service.once and self.ended(service) and not self.ended_well(service):
                self._work.states.fail(self.error(service), service.name)

    def ended(self, service: ServicePlan) -> bool:
        """Whether it has ended for good."""
        if service.name not in self.statuses:
            return False
        state = self._work.deployment.state(service.name)
        return not state.running and not state.restarts

    def ended_well(self, service: ServicePlan) -> bool:
        """A Compose file does not say which of its services are jobs: one that ends with 0 is taken for one."""
        return service.from_compose and self.statuses.get(service.name) == 0

    def done_before(self, service: ServicePlan) -> bool:
        """Whether it is a job that an earlier command has run."""
        if not service.once or service.name in self._work.again:
            return False
        state = self._work.deployment.state(service.name)
        return not state.running and state.status == 0

    def remember_running(self, service: ServicePlan) -> None:
        """Of a service that nobody can ask, whether it runs already."""
        if not (service.checks or service.once) and (state := self._work.deployment.state(service.name)).running:
            self._ran_before[service.name] = state.id

    def has_run_all_along(self, service: ServicePlan) -> bool:
        return self._ran_before.get(service.name, "") == self._work.deployment.state(service.name).id != ""

    def error(self, service: ServicePlan) -> EnvctlError:
        """Why it ended, with its evidence."""
        status = self.statuses.get(service.name)
        known = self._work.deployment.exit_reason(service)
        if known is not None:
            return known
        row = self._work.states.rows[service.name]
        step = "start" if row.state == "starting" else row.state
        process = self._work.plan.setting.runs_as_process(service.name)
        meaning = NO_PROGRAM_HERE if process and status == 127 else MEANINGS.get(status, "")
        return failure(self._work, service, f"{service.name} ended with {status} {meaning}".rstrip(), step, status)
