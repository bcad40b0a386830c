"""The stages that a service goes through, one after the other. A new one is a function and a place in the list.

Each takes the work that all services share, and the service. It raises what has failed, or Abandoned where something else has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from envctl import seeding
from envctl.engines import AdmitsReaders, Execution, PreparesCommands
from envctl.lifecycle.events import Phase
from envctl.lifecycle.evidence import LOG_LINES, failure
from envctl.lifecycle.readiness import until_ended, until_ready
from envctl.plan.model import ServicePlan
from envctl.process.threads import guarded_thread

if TYPE_CHECKING:
    from envctl.lifecycle.bring_up import BringUp


def await_needs(work: BringUp, service: ServicePlan) -> None:
    """What it needs is there."""
    work.states.wait_for(service.needs)


def restore_data(work: BringUp, service: ServicePlan) -> None:
    """What was recorded of other data than this is forgotten."""
    work.data.forget_others(service)


def start(work: BringUp, service: ServicePlan) -> None:
    """It runs; what its seeds will need is made meanwhile."""
    if work.exits.done_before(service):
        work.states.set(service.name, Phase.DONE)
        return
    work.states.set(service.name, Phase.STARTING)
    work.exits.remember_running(service)
    with work.limiter.enter(work.priority.get(service.name, 0)):
        work.deployment.start(service)
    if not service.once:
        _prepare_commands(work, service)


def _prepare_commands(work: BringUp, service: ServicePlan) -> None:
    if not isinstance(work.deployment, PreparesCommands):
        return
    for step in work.data.pending(service):
        other = work.plan.services.get(step.step.in_ or "")
        if other is not None and other.name != service.name:
            prepare = partial(work.deployment.prepare_command, other, step.command)
            guarded_thread(prepare, lambda _: None, name="commands")  # it is made again when it is run, and fails there if it must


def await_ready(work: BringUp, service: ServicePlan) -> None:
    """It answers as it will answer the tests; a job has ended well."""
    if _is_done(work, service):
        return
    if service.once:
        until_ended(work, service)
        work.states.set(service.name, Phase.DONE)
    else:
        until_ready(work, service)


def set_up(work: BringUp, service: ServicePlan) -> None:
    """What its kind does once in a new server."""
    if _is_done(work, service) or not service.setup or work.data.recorded(service).set_up:
        return
    work.states.set(service.name, Phase.SETTING_UP)
    for argv, env, stdin in service.setup:
        result = work.deployment.execute(service.name, Execution(argv, env, (stdin.encode(),) if stdin else ()))
        if result.status:
            error = failure(work, service, f"{service.name}: {argv[0]} ended with {result.status}", "set-up", result.status)
            assert error.evidence is not None
            error.evidence = error.evidence._replace(logs=tuple(result.output.splitlines()[-LOG_LINES:]))
            raise error
    work.data.note_set_up(service)


def seed(work: BringUp, service: ServicePlan) -> None:
    """The seed steps that have not been run on this data, in order."""
    for step in () if _is_done(work, service) else work.data.pending(service):
        if missing := work.states.missing(step.needs):
            work.states.set(service.name, Phase.SEEDING, f"{step.title} waits for {', '.join(missing)}")
        work.states.wait_for(step.needs)
        work.states.set(service.name, Phase.SEEDING, step.title)
        seeding.seed(step, work.seeder)
        work.data.note_step(service, step)


def admit(work: BringUp, service: ServicePlan) -> None:
    """Others inside may reach it, where its engine keeps them from what is not seeded."""
    if service.gated and isinstance(work.deployment, AdmitsReaders):
        work.deployment.admit(service)


def save_data(work: BringUp, service: ServicePlan) -> None:
    """It has everything: whoever waits for it may go on."""
    if not _is_done(work, service):
        work.states.set(service.name, Phase.SEEDED)


def _is_done(work: BringUp, service: ServicePlan) -> bool:
    """Whether it has run and ended well, so that nothing more can be done with it."""
    return work.states.rows[service.name].phase is Phase.DONE


STAGES: tuple[Callable[[BringUp, ServicePlan], None], ...] = (await_needs, restore_data, start, await_ready, set_up, seed, admit, save_data)
