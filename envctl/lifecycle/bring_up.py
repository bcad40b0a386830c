"""Services brought up in parallel: each starts when its needs are met, is probed until it is ready, and is seeded."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from envctl.engines import Deployment, Execution
from envctl.errors import EnvctlError, Evidence, OutOfTime, ServiceFailed
from envctl.instance import Record
from envctl.lifecycle.service_states import ServiceStates
from envctl.lifecycle.start_limiter import StartLimiter, priorities
from envctl.plan.model import Check, Plan, ServicePlan
from envctl.readiness import NotReady, Target
from envctl.readiness.wait import History, probe_named, wait_until_ready
from envctl.seeding import Seeder, seed

LOG_LINES = 40
SETTLED, POLL_SECONDS = 1.0, 0.025
"""Seconds that a service without any check must run, and between two looks at it."""
REFUSED = 5.0
"""Seconds of nothing but a refused login after which waiting is no use."""
ATTEMPT_TIMEOUT = 1.0
"""Seconds of one attempt: short, so that a death is noticed between two."""


@dataclass
class BringUp:
    """One run of the line `starting -> ready -> seeded` for every service of a plan."""

    plan: Plan
    project: Deployment
    record: Record
    board: ServiceStates
    seeder: Seeder
    deaths: dict[str, int] = field(default_factory=dict)
    histories: dict[str, History] = field(default_factory=dict)
    save: Callable[[], None] = lambda: None
    gate: StartLimiter = field(default_factory=lambda: StartLimiter(max(2, os.cpu_count() or 2)))
    priority: Mapping[str, int] = field(default_factory=dict)
    _ran: dict[str, str] = field(default_factory=dict)
    """Services that ran before they were started, and as which container or process."""
    _saving: threading.Lock = field(default_factory=threading.Lock)

    def run(self, deadline: float) -> None:
        """Returns when every service has everything.

        Raises:
            ServiceFailed, OutOfTime: with the evidence of the service that is to blame.
        """
        self.priority = priorities(self.plan)
        try:
            self._run(deadline)
        except BaseException as error:
            self.board.fail(error)  # by which the threads see that it is over
            raise
        if self.board.failure is not None:
            raise self.board.failure

    def _run(self, deadline: float) -> None:
        with self.project.exit_events(self._died):
            threading.Thread(target=self._import_probes, daemon=True).start()
            for service in self.plan.services.values():
                threading.Thread(target=self._guarded, args=(service,), name=service.name, daemon=True).start()
            finals = {service.name: service.final for service in self.plan.services.values()}
            if not self.board.wait_all(finals, deadline) and not self.board.failed:
                self.board.fail(self._out_of_time(finals))
            self._look_again()

    def _import_probes(self) -> None:
        """While servers start: a driver takes as long to import as some of them to get ready."""
        for name in dict.fromkeys(check.probe for service in self.plan.services.values() for check in service.checks):
            with suppress(ImportError):  # who needs it says so
                probe_named(name)

    def _look_again(self) -> None:
        """One that has no check, or died between two looks, must not pass for up."""
        for service in self.plan.services.values():
            if not self.board.failed and not service.once and self._dead(service) and not self._ended_well(service):
                self.board.fail(self._death(service))

    def _guarded(self, service: ServicePlan) -> None:
        try:
            self._bring_up(service)
        except BaseException as error:
            if not self.board.failed:
                self.board.set(service.name, "failed", str(error).splitlines()[0] if str(error) else "")
            self.board.fail(error)

    def _bring_up(self, service: ServicePlan) -> None:
        if not self.board.wait_for(service.needs):
            return
        if not (service.once and self._done_before(service)):
            self._start(service)
            if service.once:
                self._wait_until_done(service)
            else:
                self._look_ahead(service)
                self._wait_until_ready(service)
                self._set_up(service)
                self._seed(service)
        if not self.board.failed and self.board.rows[service.name].state != "done":
            self.board.set(service.name, service.final)

    def _done_before(self, service: ServicePlan) -> bool:
        state = self.project.state(service.name)
        return not state.running and state.status == 0

    def _start(self, service: ServicePlan) -> None:
        self.board.set(service.name, "starting", "starting")
        if not (service.checks or service.once) and (before := self.project.state(service.name)).running:
            self._ran[service.name] = before.id
        with self.gate.enter(self.priority.get(service.name, 0)):
            self.project.start(service)
        self.board.say(service.name, "waiting until it is ready" if service.checks else "")

    def _look_ahead(self, service: ServicePlan) -> None:
        """What the seeds will need is made while the server gets ready."""
        pending = service.steps[len(self._recorded(service).get("steps", [])) :]
        for step in pending:
            other = self.plan.services.get(step.step.in_ or "")
            if other is not None and other.name != service.name:
                threading.Thread(target=self._expect, args=(other, step.command), daemon=True).start()

    def _expect(self, other: ServicePlan, command: tuple[str, ...]) -> None:
        with suppress(Exception):  # it is made again when it is run, and fails there if it must
            self.project.prepare_command(other, command)

    def _wait_until_done(self, service: ServicePlan) -> None:
        while not self.board.failed:
            state = self.project.state(service.name)
            if not state.running and state.status is not None:
                if state.status:
                    raise self._failure(service, f"{service.name} ended with {state.status}", "run", state.status)
                return
            time.sleep(0.05)

    def _wait_until_ready(self, service: ServicePlan) -> None:
        history = self.histories[service.name] = History()
        asked = self._checks(service)
        patience = min((check.options["patience"] for check in asked if "patience" in check.options), default=None)
        until = time.monotonic() + (service.ready_timeout if patience is None else patience)
        checks = [(check.probe, self._target(service, check.options, replica)) for check in asked for replica in range(service.replicas)]
        try:
            wait_until_ready(checks, history, lambda _: self._given_up(service, history, until))
        except NotReady as error:
            if self.board.failed:
                return
            if self._dead(service):
                if self._ended_well(service):
                    self.board.set(service.name, "done")
                    return
                raise self._death(service) from None
            if patience is not None:
                self.board.set(service.name, "ready", "it opens no port")
                return
            raise self._not_ready(service, history, error) from None
        if not asked:
            self._settle(service)
        if self._dead(service) and not self._ended_well(service):
            raise self._death(service)
        if service.steps or service.setup:
            self.board.set(service.name, "ready")

    def _given_up(self, service: ServicePlan, history: History, until: float) -> bool:
        return self.board.failed or time.monotonic() > until or self._dead(service) or self._refused(history)

    def _refused(self, history: History) -> bool:
        """A server that was up before has its users already; a new one may be about to make them."""
        return self.record.state != "starting" and history.refused_seconds > REFUSED

    def _not_ready(self, service: ServicePlan, history: History, error: NotReady) -> ServiceFailed:
        if self._refused(history):
            advice = f"if its data was made with others: `envctl reset NAME {service.name}` makes it anew; or give it those that it has"
            message = f"{service.name} does not know the credentials that the definition gives it: {error}"
            return ServiceFailed(message, self._evidence(service, "readiness", advice=advice))
        message = f"{service.name} did not get ready within {service.ready_timeout:g} s: {error}"
        return OutOfTime(message, self._evidence(service, "readiness"))

    def _settle(self, service: ServicePlan) -> None:
        """One that nobody can ask is up when it has run for a while: most that fail at all fail at once. One that ran before has."""
        if self._ran.get(service.name, "") == self.project.state(service.name).id != "":
            return
        until = time.monotonic() + SETTLED
        while time.monotonic() < until and service.name not in self.deaths and not self.board.failed:
            time.sleep(POLL_SECONDS)

    def _checks(self, service: ServicePlan) -> tuple[Check, ...]:
        """Where nobody says how it is ready, the health check that its image brings along does."""
        unsaid = not service.checks or "patience" in service.checks[0].options
        if unsaid and not service.once and self.project.state(service.name).health:
            return (Check("health"),)
        return service.checks

    def _ended_well(self, service: ServicePlan) -> bool:
        """A Compose file does not say which of its services are jobs: one that ends with 0 is taken for one."""
        return service.from_compose and self.deaths.get(service.name) == 0

    def _target(self, service: ServicePlan, options: Mapping[str, Any], replica: int) -> Target:
        place = self.plan.setting
        probe_ports = self.project.probe_ports(service)
        ports = {name: number + replica for name, number in probe_ports.items()}
        named = options.get("port")
        port = ports.get(str(named)) or next((ports[p.name] for p in service.ports if p.number == named), None)
        return Target(
            host=str(service.outside.get("host") or place.addresses.outside_host),
            port=port or self._main_port(service, probe_ports) + replica,
            ports=ports,
            properties=service.outside,
            options={key: value for key, value in options.items() if key != "port"},
            timeout=ATTEMPT_TIMEOUT,
            run=lambda argv: self._execute(service.name, argv),
            logs=lambda: self.project.logs(service.name),
            health=lambda: self.project.state(service.name).health,
        )

    def _main_port(self, service: ServicePlan, probe_ports: Mapping[str, int]) -> int:
        """Of its address outside, which leads through another port where a kind says so."""
        main = int(service.outside.get("port") or 0)
        return next((probe_ports[port.name] for port in service.ports if port.outside == main and port.name in probe_ports), main)

    def _execute(self, service: str, argv: Any) -> tuple[int, str]:
        ran = self.project.execute(service, Execution(list(argv)))
        return ran.status, ran.output

    def _died(self, service: str, status: int) -> None:
        self.deaths[service] = status
        plan = self.plan.services.get(service)
        row = self.board.rows.get(service)
        if plan is None or plan.once or row is None or row.state not in ("ready", "seeded") or self._ended_well(plan):
            return  # whoever waits for it asks
        with suppress(EnvctlError):
            if not self.project.state(service).restarts:
                self.board.fail(self._death(plan))

    def _dead(self, service: ServicePlan) -> bool:
        if service.name not in self.deaths:
            return False
        state = self.project.state(service.name)
        return not state.running and not state.restarts

    def _death(self, service: ServicePlan) -> EnvctlError:
        status = self.deaths.get(service.name)
        known = self.project.exit_reason(service)
        if known is not None:
            return known
        row = self.board.rows[service.name]
        step = "start" if row.state == "starting" else row.state
        return self._failure(service, f"{service.name} ended with {status} {_meaning(status)}".rstrip(), step, status)

    def _failure(self, service: ServicePlan, message: str, step: str, status: int | None = None) -> ServiceFailed:
        return ServiceFailed(message, self._evidence(service, step, status))

    def _evidence(self, service: ServicePlan, step: str, status: int | None = None, advice: str = "") -> Evidence:
        lines: tuple[str, ...] = ()
        with suppress(Exception):  # evidence is best effort: its loss must not hide the failure
            lines = tuple(self.project.logs(service.name, LOG_LINES).splitlines())
        history = self.histories[service.name].shown() if service.name in self.histories else ()
        advice = advice or _advice(step, status, service)
        return Evidence(service.name, step, history, status, lines[-LOG_LINES:], advice)

    def _set_up(self, service: ServicePlan) -> None:
        if not service.setup or self._recorded(service).get("set_up"):
            return
        self.board.say(service.name, "setting up")
        for argv, env, stdin in service.setup:
            ran = self.project.execute(service.name, Execution(argv, env, (stdin.encode(),) if stdin else ()))
            if ran.status:
                failure = self._failure(service, f"{service.name}: {argv[0]} ended with {ran.status}", "set-up", ran.status)
                assert failure.evidence is not None
                failure.evidence = replace(failure.evidence, logs=tuple(ran.output.splitlines()[-LOG_LINES:]))
                raise failure
        self._note(service, set_up=True)

    def _seed(self, service: ServicePlan) -> None:
        """Runs the steps that have not been run on this data."""
        done: list[str] = list(self._recorded(service).get("steps", []))
        for step in service.steps[len(done) :]:
            if not self.board.wait_for(step.needs):
                return
            self.board.say(service.name, f"seeding: {step.title}")
            seed(step, self.seeder)
            done.append(step.hash)
            self._note(service, steps=done)

    def _recorded(self, service: ServicePlan) -> dict[str, Any]:
        found = self.record.seeds.get(service.name, {})
        return found if found.get("data_id") == self.project.data_id(service) else {}

    def _note(self, service: ServicePlan, **what: Any) -> None:
        with self._saving:
            kept = self._recorded(service)
            self.record.seeds[service.name] = {**kept, "data_id": self.project.data_id(service), **what}
            self.save()

    def _out_of_time(self, finals: Mapping[str, str]) -> OutOfTime:
        """Blames the first service, in starting order, that is not there yet."""
        late = next(s for s in self.plan.services.values() if self.board.rows[s.name].state != finals[s.name])
        row = self.board.rows[late.name]
        return OutOfTime(
            f"out of time: {late.name} is still {row.state}{': ' + row.detail if row.detail else ''}", self._evidence(late, row.state)
        )


def _meaning(status: int | None) -> str:
    if status == 137:
        return "(killed: out of memory, or by somebody)"
    return "(its program was not found in the image)" if status == 127 else ""


def _advice(step: str, status: int | None, service: ServicePlan) -> str:
    if status == 127:
        return "check `run:` and `command:`, and that the image has the program"
    if status == 137 and service.resources is not None:
        return "give it more memory in `resources:`"
    if status is not None:
        return f"`envctl up ... --keep` leaves it for a look: `envctl logs NAME {service.name}`"
    return f"raise `ready: {{timeout: ...}}` if it is just slow; `--keep` leaves it for `envctl logs NAME {service.name}`"
