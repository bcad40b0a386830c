"""up, run, down: definition -> plan -> created -> ready -> seeded -> endpoints -> gone."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from envctl import instance
from envctl.engines import Deployment, Engine, PortTaken, SubnetTaken, open_engine
from envctl.engines.common.mixed import open_deployment
from envctl.engines.registry import traits
from envctl.environment import Environment, open_environment
from envctl.errors import DefinitionError, EnvctlError, Interrupted, OutOfTime, ServiceFailed, UsageError, did_you_mean
from envctl.inspect.report import write_report
from envctl.instance import Record
from envctl.keeper_client import keepers
from envctl.keeper_client.keepers import KeeperGone
from envctl.keeper_client.watchman import guarded
from envctl.lifecycle.bring_up import BringUp
from envctl.lifecycle.down import tear_down
from envctl.lifecycle.intent import choose, instance_name, port_key, record_of, remember, setting_of
from envctl.lifecycle.request import Reporter, UpOptions
from envctl.lifecycle.service_states import ServiceStates
from envctl.outputs import write_outputs
from envctl.plan import transforms
from envctl.plan.make import make_plan
from envctl.plan.model import Plan
from envctl.plan.render_setting import render_setting
from envctl.process import signals
from envctl.process.creation import reopen, settle
from envctl.process.threads import each
from envctl.seeding import Seeder

TRIES = 5
LAST_CREATE = 20.0
"""Seconds that a daemon may take to answer what it was asked before we were interrupted."""
GRACE = 0.5
"""Seconds after the deadline: whoever waits for services notices it first, and can say for which."""


class Timer:
    """Milliseconds of each phase."""

    def __init__(self) -> None:
        self.began = self._last = time.monotonic()
        self.phases: dict[str, int] = {}

    def phase(self, name: str) -> None:
        now = time.monotonic()
        self.phases[name] = self.phases.get(name, 0) + round((now - self._last) * 1000)
        self._last = now
        self.phases["total"] = round((now - self.began) * 1000)


def open_selected(request: UpOptions) -> Environment:
    environment = open_environment(request.environment, cwd=request.cwd, overrides=request.overrides)
    return transforms.apply(environment, request.selection)


def up(request: UpOptions, reporter: Reporter) -> Record:
    """Brings the environment up: running, ready and seeded.

    Raises:
        DefinitionError, UsageError, EngineMissing: nothing was started.
        ServiceFailed, OutOfTime, Interrupted: it was torn down again, unless the request keeps it or it was up before.
    """
    reopen()
    timer = Timer()
    deadline = timer.began + request.timeout
    environment = open_selected(request)
    name = instance_name(request.name or environment.definition.name)
    id = instance.instance_id(name, environment.loaded.project)
    local = _local(request, environment)
    # Mistakes that only a plan shows must show before anything of an instance that is up is touched.
    make_plan(environment, render_setting(environment, name, traits(request.engine), request.images, environ=dict(os.environ), local=local))
    timer.phase("plan")
    engine = open_engine(request.engine, request.context, request.namespace)
    with guarded() as watched, instance.lock(id):
        record, existed = None, False
        try:
            record = record_of(request, environment, engine, id, name)
            record.local = list(local)
            existed = record.state in ("up", "failed", "changing")  # the last: a command that changed it was killed
            record.state, record.process, record.error = "changing" if existed else "starting", instance.process_mark(), ""
            record.save()
            keepers.ensure(record, watched=not existed)
            watched()
            late = signals.deadline(deadline + GRACE - time.monotonic(), lambda: OutOfTime(f"out of time after {request.timeout:g} s"))
            with keepers.marking(id), late:
                _bring_up(request, environment, engine, record, reporter, timer, deadline)
            if record.expired:
                raise KeeperGone("its keeper has begun to remove it")
            write_outputs(record)
            record.state, record.process, record.timings_ms = "up", "", timer.phases
            record.save()
            if not record.owner:
                keepers.release(id)
        except BaseException as error:
            reporter.end()
            raise (_ended(error, request, engine, record, existed, reporter) if record is not None else error) from None
        reporter.end()
    return record


def _local(request: UpOptions, environment: Environment) -> Sequence[str]:
    """The services of `--local`, where that says more than the engine does."""
    known = list(environment.definition.services)
    for name in request.local:
        if name not in known:
            raise UsageError(f"--local {name}: there is no such service", hint=did_you_mean(name, known))
    return () if traits(request.engine).runs_processes else request.local


def _bring_up(
    request: UpOptions, environment: Environment, engine: Engine, record: Record, reporter: Reporter, timer: Timer, deadline: float
) -> None:
    """Plan, create, start; another port or subnet when somebody took ours in between."""
    refused: list[str] = []
    for attempt in range(TRIES):
        choose(environment, engine, record, request, refused)
        plan = make_plan(environment, setting_of(record, engine, request.images))
        remember(plan, record)
        timer.phase("plan")
        try:
            _run_plan(request, plan, open_deployment(engine, plan, record.folder), record, reporter, timer, deadline)
        except PortTaken as error:
            if attempt + 1 == TRIES or error.service in request.ports:
                raise ServiceFailed(f"{error.service}: its port is taken: {error.message}", hint="take another one with --port") from None
            record.ports = {key: number for key, number in record.ports.items() if port_key(key)[0] != error.service}
        except SubnetTaken:
            refused.append(record.subnet or "")
            record.subnet = None
            if attempt + 1 == TRIES:
                raise
        else:
            return


def _run_plan(
    request: UpOptions, plan: Plan, project: Deployment, record: Record, reporter: Reporter, timer: Timer, deadline: float
) -> None:
    board = ServiceStates.of(plan.services, reporter.row)
    reporter.begin(plan)
    project.prepare(lambda service, text: board.say(service, text) if service else reporter.say(text))
    timer.phase("images")
    _refuse_changed_seeds(plan, project, record)
    each(lambda step: step(), [lambda: project.renew(record.expires, record.marks), project.create])
    timer.phase("create")
    environ = {**plan.outputs, **record.process_variables}
    seeder = Seeder(plan, project, environ, plan.folder)
    work = BringUp(plan, project, record, board, seeder, save=record.save)
    try:
        work.run(deadline)
    finally:
        for name, row in board.rows.items():
            record.services[name] |= {"state": row.state, "ready_ms": row.ready_ms}
        timer.phase("services")
    record.save()
    project.finish()


def _refuse_changed_seeds(plan: Plan, project: Deployment, record: Record) -> None:
    for service in plan.services.values():
        seen = record.seeds.get(service.name, {})
        if not seen.get("steps") or seen.get("data_id") != project.data_id(service):
            continue
        wanted = [step.hash for step in service.steps]
        if wanted[: len(seen["steps"])] != seen["steps"]:
            changed = next((s for s, old in zip(service.steps, seen["steps"], strict=False) if s.hash != old), None)
            what = f"seed step {changed.number + 1} ({changed.title}, {changed.where}) has changed" if changed else "a seed step is gone"
            raise UsageError(
                f"{service.name}: {what} since its data was seeded",
                hint=f"`envctl reset {record.name} {service.name}` seeds it anew, `envctl up ... --fresh` starts over",
            )


def _ended(error: BaseException, request: UpOptions, engine: Engine, record: Record, existed: bool, reporter: Reporter) -> BaseException:
    """What a failed `up` leaves: nothing, or all of it with --keep; an instance that was up before is never taken away."""
    with signals.shielded():
        if isinstance(error, KeyboardInterrupt):
            error = Interrupted("interrupted" if existed else "interrupted; everything is gone")
        if record.expired and isinstance(error, EnvctlError) and not isinstance(error, OutOfTime | Interrupted):
            error = EnvctlError("its ttl has passed while it was brought up", hint="give it more: `--ttl`, or `ttl:` of the definition")
        ours = isinstance(error, EnvctlError)
        if isinstance(error, EnvctlError):
            error.record = record
            _report(request, record)
        if not (existed or (request.keep and ours and not isinstance(error, Interrupted))):
            return _torn_down(error, engine, record)
        record.state, record.process, record.error = "up" if isinstance(error, UsageError | DefinitionError) else "failed", "", str(error)
        record.save()
        keepers.release(record.id)
        if record.state == "failed":
            reporter.say(f"left for a look: `envctl logs {record.name}`; `envctl down {record.name}` removes it")
        return error


def _report(request: UpOptions, record: Record) -> None:
    """Logs and status while they are still there."""
    if request.report:
        with suppress(OSError):
            write_report(record, Path(request.report))


def _torn_down(error: BaseException, engine: Engine, record: Record) -> BaseException:
    record.stop = {}  # nobody waits for the coverage of what has failed
    settle(LAST_CREATE)
    left = tear_down(engine, record)
    if left and isinstance(error, EnvctlError):
        error.hint = f"{error.hint}\n  left behind: {', '.join(left)}".strip()
    return error
