"""The stages that a service goes through, one after the other. To add one, write a function and add it to `STAGES`.

Each stage takes the shared state of `bring_up` and the service. It raises an error if the service fails, or Abandoned if another one has.
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
"""The minimum seconds from start to completion for a snapshot to be worthwhile: starting from a snapshot takes about as long."""


def await_image(work: BringUp, service: ServicePlan) -> None:
    """Wait for the image of the service; other services start while it is built."""
    if isinstance(work.deployment, BuildsMeanwhile):
        work.deployment.await_image(service)


def await_needs(work: BringUp, service: ServicePlan) -> None:
    """Wait for the needs of the service."""
    for name, condition in service.needs.items():
        if work.states.missing({name: condition}):
            work.states.set(service.name, Phase.PENDING, f"waits for {name}")
        work.states.wait_for({name: condition})


def restore_data(work: BringUp, service: ServicePlan) -> None:
    """Forget the record of data that no longer exists; data from a snapshot has what the snapshot contains (`Data.recorded`)."""
    work.data.forget_others(service)


def start(work: BringUp, service: ServicePlan) -> None:
    """Start the service, and prepare the commands of its seeds in the background."""
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
            guarded_thread(prepare, lambda _: None, name="commands")  # an error reappears when the step runs


def await_ready(work: BringUp, service: ServicePlan) -> None:
    """Wait until the service answers as it will answer the tests, or, if it is a job, until it has exited with 0."""
    if _is_done(work, service):
        return
    if service.once:
        until_ended(work, service)
        work.states.set(service.name, Phase.DONE)
    else:
        until_ready(work, service)


def connect(work: BringUp, service: ServicePlan) -> None:
    """Let services on another engine reach the service."""
    if isinstance(work.deployment, ConnectsProcesses) and not _is_done(work, service):
        work.deployment.connect(service)


def begin_data(work: BringUp, service: ServicePlan) -> None:
    """Record which command makes the data, if machines share the instance; data that another machine has completed is not made again.

    Raises:
        EnvctlError: a command of another machine has begun to make the data, and has not finished.
    """
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
    """Run the commands that the kind runs once in a new server."""
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
    """Run the seed steps that have not been run on the current data, in order."""
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
    """Keep a copy of the seeded data for resets and leases, and give each lane its own copy."""
    unit = service.unit
    if unit is None or not unit.names:
        return
    before = work.data.recorded(service)
    # Data that was in use is no longer the seeded data.
    wanted = work.keep or work.plan.lanes or (unit.ahead and work.whole and not work.was_up and _nobody_connects(work, service))
    if not wanted or set(units.made_of(unit)) <= set(before.units):
        return
    work.states.set(service.name, Phase.SEEDING if service.steps else Phase.SETTING_UP, "a copy of the data for `reset`")
    try:
        made = units.make(unit, work.deployment.probe_ports(service), before.units)
    except UnitError as error:
        if unit.names[0].lanes or (work.keep and not isinstance(error, DriverMissing)):
            raise
        return  # the copy is optional: a reset recreates the server's data
    work.data.note_units(service, before, made)


def _nobody_connects(work: BringUp, service: ServicePlan) -> bool:
    """Return whether no service connects before the data is seeded: while a copy is made, the server refuses connections."""
    early = any(other.needs.get(service.name, "seeded") != "seeded" for other in work.plan.services.values())
    return not (early or service.from_compose)


def admit(work: BringUp, service: ServicePlan) -> None:
    """Let other services reach the service, if its engine blocks servers that are not seeded."""
    if service.gated and isinstance(work.deployment, AdmitsReaders):
        work.deployment.admit(service)


def save_data(work: BringUp, service: ServicePlan) -> None:
    """Mark the service as complete, so that services that wait for it continue. Data that took long is noted for a snapshot."""
    if not _is_done(work, service):
        work.states.set(service.name, Phase.SEEDED)
    if service.name in work.lacking and time.monotonic() - work.began[service.name] >= WORTH_SECONDS:
        work.worth_keeping.add(service.name)


def _is_done(work: BringUp, service: ServicePlan) -> bool:
    """Return whether the service has run and ended well, so that nothing is left to do."""
    return work.states.rows[service.name].phase is Phase.DONE


STAGES: tuple[Callable[[BringUp, ServicePlan], None], ...] = (
    await_image, await_needs, restore_data, start, await_ready, connect, begin_data, set_up, seed, make_units, admit, save_data,
)  # fmt: skip
