"""The stages that a service goes through, one after the other. A new one is a function and a place in the list.

Each takes the work that all services share, and the service. It raises what has failed, or Abandoned where something else has.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from envctl import seeding
from envctl.engines import AdmitsReaders, BuildsMeanwhile, ConnectsProcesses, Execution, PreparesCommands
from envctl.errors import EnvctlError
from envctl.instance.machine import known_here
from envctl.lifecycle import units
from envctl.lifecycle.events import Phase
from envctl.lifecycle.evidence import LOG_LINES, failure
from envctl.lifecycle.readiness import until_ended, until_ready
from envctl.plan.model import ServicePlan
from envctl.process.threads import guarded_thread
from envctl.seeding.declaring import declare
from envctl.units import DriverMissing, UnitError

if TYPE_CHECKING:
    from envctl.lifecycle.bring_up import BringUp


WORTH_SECONDS = 0.5
"""From the start until everything is there: a server that begins as a snapshot takes about as long."""


def await_image(work: BringUp, service: ServicePlan) -> None:
    """Waits for its image; other services start while it is built."""
    if isinstance(work.deployment, BuildsMeanwhile):
        work.deployment.await_image(service)


def await_needs(work: BringUp, service: ServicePlan) -> None:
    """Waits for what it needs."""
    for name, condition in service.needs.items():
        if work.states.missing({name: condition}):
            work.states.set(service.name, Phase.PENDING, f"waits for {name}")
        work.states.wait_for({name: condition})


def restore_data(work: BringUp, service: ServicePlan) -> None:
    """What was recorded of other data than this is forgotten; what begins as a snapshot holds what that held (`Data.recorded`)."""
    work.data.forget_others(service)


def start(work: BringUp, service: ServicePlan) -> None:
    """Starts it; what its seeds will need is prepared meanwhile."""
    if work.exits.done_before(service):
        work.states.set(service.name, Phase.DONE)
        return
    work.states.set(service.name, Phase.STARTING)
    work.exits.remember_running(service)
    work.began[service.name] = time.monotonic()
    with work.limiter.enter(work.priority.get(service.name, 0)):
        work.deployment.start(service)
    if not service.once:
        _prepare_commands(work, service)


def _prepare_commands(work: BringUp, service: ServicePlan) -> None:
    if not isinstance(work.deployment, PreparesCommands):
        return
    for step in work.data.pending(service):
        other = work.plan.services.get(step.step.runs_in or "")
        if other is not None and other.name != service.name:
            prepare = partial(work.deployment.prepare_command, seeding.program_of(step, other), step.command)
            guarded_thread(prepare, lambda _: None, name="commands")  # it is made again when it is run, and fails there if it must


def await_ready(work: BringUp, service: ServicePlan) -> None:
    """Waits until it answers as it will answer the tests, or, for a job, until it has exited with 0."""
    if _is_done(work, service):
        return
    if service.once:
        until_ended(work, service)
        work.states.set(service.name, Phase.DONE)
    else:
        until_ready(work, service)


def connect(work: BringUp, service: ServicePlan) -> None:
    """Lets services on another engine reach it."""
    if isinstance(work.deployment, ConnectsProcesses) and not _is_done(work, service):
        work.deployment.connect(service)


def begin_data(work: BringUp, service: ServicePlan) -> None:
    """Where machines share the instance the others see who makes its data; what one of them has made is not made again."""
    if not (work.was_up and service.gated and isinstance(work.deployment, AdmitsReaders)) or work.data.is_whole(service):
        return
    by = work.deployment.made_by(service)
    if by is None and not service.ephemeral and not work.data.is_recorded(service):
        work.data.note_whole(service)
    elif by and not known_here(by, work.worker):
        hint = f"`envctl reset {work.called} {service.name}` makes it anew, `envctl up` does so, too"
        raise EnvctlError(f"{service.name}: a command of another machine has begun to make its data, and has not finished it", hint=hint)
    elif by is not None:
        work.deployment.note_begun(service)


def set_up(work: BringUp, service: ServicePlan) -> None:
    """Runs what its kind does once in a new server."""
    if _is_done(work, service) or not service.sets_up or work.data.is_set_up(service):
        return
    work.states.set(service.name, Phase.SETTING_UP)
    for argv, env, stdin in service.setup:
        result = work.deployment.execute(service.name, Execution(argv, env, (stdin.encode(),) if stdin else ()))
        if result.status:
            error = failure(work, service, f"{service.name}: {argv[0]} ended with {result.status}", "set-up", result.status)
            assert error.evidence is not None
            error.evidence = error.evidence._replace(logs=tuple(result.output.splitlines()[-LOG_LINES:]))
            raise error
    declare(work.seeder, service)
    work.data.note_set_up(service)


def seed(work: BringUp, service: ServicePlan) -> None:
    """Runs the seed steps that have not been run on this data, in order."""
    work.data.note_kept(service)
    work.data.note_first(service)
    for step in () if _is_done(work, service) else work.data.pending(service):
        if missing := work.states.missing(step.needs):
            work.states.set(service.name, Phase.SEEDING, f"{step.title} waits for {', '.join(missing)}")
        work.states.wait_for(step.needs)
        work.states.set(service.name, Phase.SEEDING, step.title)
        seeding.seed(step, work.seeder)
        work.data.note_step(service, step)


def make_units(work: BringUp, service: ServicePlan) -> None:
    """Keeps the seeded data for resets and leases, and gives each lane a copy of it."""
    unit = service.unit
    if unit is None or not unit.names:
        return
    before = work.data.recorded(service)
    # What has been used for a while is not what was seeded.
    wanted = work.keep or work.plan.lanes or (unit.ahead and work.whole and not work.was_up and _nobody_connects(work, service))
    if not wanted or set(units.made_of(unit)) <= set(before.units):
        return
    work.states.set(service.name, Phase.SEEDING if service.steps else Phase.SETTING_UP, "a copy of the data for `reset`")
    try:
        made = units.make(unit, work.deployment.probe_ports(service), before.units)
    except UnitError as error:
        if unit.names[0].lanes or (work.keep and not isinstance(error, DriverMissing)):
            raise
        return  # nobody has asked for it: a reset makes the server's data anew
    work.data.note_units(service, before, made)


def _nobody_connects(work: BringUp, service: ServicePlan) -> bool:
    """While a copy is made the server refuses whoever connects, and not everybody waits until it is seeded."""
    early = any(other.needs.get(service.name, "seeded") != "seeded" for other in work.plan.services.values())
    return not (early or service.from_compose)


def admit(work: BringUp, service: ServicePlan) -> None:
    """Lets other services reach it, if its engine blocks servers that are not seeded."""
    if service.gated and isinstance(work.deployment, AdmitsReaders):
        work.deployment.admit(service)


def save_data(work: BringUp, service: ServicePlan) -> None:
    """Marks it as complete, so that services that wait for it continue. Data that took long is kept for the next instance."""
    if not _is_done(work, service):
        work.states.set(service.name, Phase.SEEDED)
    if service.name in work.lacking and time.monotonic() - work.began[service.name] >= WORTH_SECONDS:
        work.worth_keeping.add(service.name)


def _is_done(work: BringUp, service: ServicePlan) -> bool:
    """Whether it has run and ended well, so that nothing more can be done with it."""
    return work.states.rows[service.name].phase is Phase.DONE


STAGES: tuple[Callable[[BringUp, ServicePlan], None], ...] = (
    await_image, await_needs, restore_data, start, await_ready, connect, begin_data, set_up, seed, make_units, admit, save_data,
)  # fmt: skip
