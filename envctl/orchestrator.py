"""up, run, down: definition -> plan -> created -> ready -> seeded -> endpoints -> gone."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from envctl import instance, signals
from envctl.board import Board, Row
from envctl.bringup import BringUp
from envctl.checks import Environment, open_environment
from envctl.definition.models import NAME
from envctl.engines import Engine, PortTaken, Project, SubnetTaken, open_engine
from envctl.errors import EnvctlError, Interrupted, OutOfTime, ServiceFailed, UsageError, did_you_mean
from envctl.instance import Record
from envctl.outputs import write_outputs
from envctl.plan.make import make_plan, published
from envctl.plan.model import Plan, ServicePlan, Setting
from envctl.plan.secrets import drawn_from
from envctl.seeding import Seeder
from envctl.selection import Selection, select
from envctl.teardown import tear_down

TRIES = 5
GRACE = 0.5
"""Seconds after the deadline: whoever waits for services notices it first, and can say for which."""
DEFAULT_TIMEOUT = 600.0


class Reporter(Protocol):
    """Who shows the progress."""

    def begin(self, plan: Plan) -> None: ...
    def row(self, service: str, row: Row) -> None: ...
    def say(self, text: str) -> None: ...
    def end(self) -> None: ...


@dataclass(frozen=True)
class Request:
    """What `up` is asked for."""

    environment: str
    name: str | None = None
    engine: str = "docker"
    context: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    selection: Selection = Selection()
    ports: Mapping[str, int] = field(default_factory=dict)
    ttl: float | None = None
    timeout: float = DEFAULT_TIMEOUT
    fresh: bool = False
    keep: bool = False
    owner: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = field(default_factory=Path.cwd)

    @property
    def options(self) -> dict[str, Any]:
        """What must be known to plan the same again."""
        chosen = self.selection
        return {
            "set": dict(self.overrides), "only": list(chosen.only), "stub": list(chosen.stub), "use": dict(chosen.use),
            "image": dict(chosen.image), "port": dict(self.ports), "images": dict(self.images),
        }  # fmt: skip


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


def open_selected(request: Request) -> Environment:
    environment = open_environment(request.environment, cwd=request.cwd, overrides=request.overrides)
    return select(environment, request.selection)


def up(request: Request, reporter: Reporter) -> Record:
    """Brings the environment up: running, ready and seeded.

    Raises:
        DefinitionError, UsageError, EngineMissing: nothing was started.
        ServiceFailed, OutOfTime, Interrupted: it was torn down again, unless the request keeps it or it was up before.
    """
    timer = Timer()
    deadline = timer.began + request.timeout
    environment = open_selected(request)
    name = instance_name(request.name or environment.definition.name)
    id = instance.instance_id(name, environment.loaded.project)
    timer.phase("plan")
    engine = open_engine(request.engine, request.context)
    with instance.lock(id):
        record, existed = None, False
        try:
            record = _record(request, environment, engine, id, name)
            existed = record.state in ("up", "failed")
            record.state, record.process, record.error = "changing" if existed else "starting", instance.process_mark(), ""
            record.save()
            with signals.deadline(deadline + GRACE - time.monotonic(), lambda: OutOfTime(f"out of time after {request.timeout:g} s")):
                _bring_up(request, environment, engine, record, reporter, timer, deadline)
            record.state, record.process, record.timings_ms = "up", "", timer.phases
            record.save()
            write_outputs(record)
        except BaseException as error:
            reporter.end()
            raise (_ended(error, request, engine, record, existed, reporter) if record is not None else error) from None
        reporter.end()
    return record


def instance_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise UsageError(f"'{name}' is no name", hint="letters, digits, - and _, at most 40, a letter or digit first")
    return name


def _record(request: Request, environment: Environment, engine: Engine, id: str, name: str) -> Record:
    """The record of the instance that is there, or a new one; what was left half-way, or without a record, is removed first."""
    record = instance.load(id)
    if record is not None and (record.engine, record.context) != (request.engine, request.context):
        raise UsageError(f"{name} is up on {record.engine}", hint=f"`envctl down {name}` first, or take another --name")
    if record is not None and record.name != name:
        raise UsageError(f"'{name}' and '{record.name}' would share the id {id}", hint="take another --name")
    if record is not None and record.owner and instance.process_alive(record.owner):
        raise UsageError(f"another `envctl run` or `test` is using {name}", hint="wait for it, or take another --name")
    if record is None or request.fresh or record.expired or record.owner or record.state in ("starting", "removing"):
        engine.remove(id, record.stop if record else {})
        record = Record(
            name=name, id=id, environment=environment.definition.name, engine=request.engine, context=request.context,
            project=str(environment.loaded.project), file=str(environment.loaded.file), created=instance.now(), secret=secrets.token_hex(32),
        )  # fmt: skip
    ttl = request.ttl or environment.definition.ttl
    record.expires = instance.now(ttl) if ttl else None
    # The owner is a label, and a changed label recreates containers: an instance that is up keeps the one it has.
    record.owner = record.owner if record.state == "up" else request.owner
    record.options, record.file = request.options, str(environment.loaded.file)
    return record


def setting_of(record: Record, engine: Engine, request_images: Mapping[str, str]) -> Setting:
    place = engine.place()
    return Setting(
        name=record.name,
        id=record.id,
        environment=record.environment,
        project=Path(record.project),
        engine=record.engine,
        secret=drawn_from(bytes.fromhex(record.secret)),
        ports={_port_key(key): number for key, number in record.ports.items()},
        outside_host=place.outside_host,
        publish_on=place.publish_on,
        tester_host=place.tester_host,
        owner=record.owner,
        subnet=record.subnet,
        environ=dict(os.environ),
        rewrite=request_images,
    )


def _port_key(text: str) -> tuple[str, str]:
    service, _, port = text.partition("/")
    return service, port


def _bring_up(
    request: Request, environment: Environment, engine: Engine, record: Record, reporter: Reporter, timer: Timer, deadline: float
) -> None:
    """Plan, create, start; another port or subnet when somebody took ours in between."""
    refused: list[str] = []
    for attempt in range(TRIES):
        _choose(environment, engine, record, request, refused)
        plan = make_plan(environment, setting_of(record, engine, request.images))
        _remember(plan, record)
        timer.phase("plan")
        try:
            _run_plan(request, plan, engine.project(plan, record.folder), record, reporter, timer, deadline)
        except PortTaken as error:
            if attempt + 1 == TRIES or error.service in request.ports:
                raise ServiceFailed(f"{error.service}: its port is taken: {error.message}", hint="take another one with --port") from None
            record.ports = {key: number for key, number in record.ports.items() if _port_key(key)[0] != error.service}
        except SubnetTaken:
            refused.append(record.subnet or "")
            record.subnet = None
            if attempt + 1 == TRIES:
                raise
        else:
            return


def _choose(environment: Environment, engine: Engine, record: Record, request: Request, refused: list[str]) -> None:
    """Ports and the subnet: those that the record has, new ones for the rest."""
    wanted = published(environment)
    kept = {key: record.ports[f"{key[0]}/{key[1]}"] for key in wanted if f"{key[0]}/{key[1]}" in record.ports}
    for service, number in request.ports.items():
        main = next((key for key in wanted if key[0] == service), None)
        if main is None:
            raise UsageError(
                f"--port {service}={number}: there is no such service with a port", hint=did_you_mean(service, [k[0] for k in wanted])
            )
        kept[main] = number
    others = [port for other in instance.records() if other.id != record.id for port in other.ports.values()]
    fresh = engine.free_ports([key for key in wanted if key not in kept], [*kept.values(), *others])
    record.ports = {f"{service}/{port}": number for (service, port), number in {**kept, **fresh}.items()}
    if record.subnet is None:
        record.subnet = engine.free_subnet(record.id, len(environment.definition.services), refused)
    record.save()


def _remember(plan: Plan, record: Record) -> None:
    record.outputs, record.secrets, record.write = dict(plan.outputs), sorted(plan.secrets), dict(plan.write)
    record.stop = {service.name: service.stop for service in plan.services.values() if service.stop}
    record.services = {name: described(service) for name, service in plan.services.items()}
    record.save()


def described(service: ServicePlan) -> dict[str, Any]:
    """What is kept of a service for the commands that work without the definition."""
    host = service.outside.get("host")
    return {
        "kind": service.kind.kind, "state": "pending", "ready_ms": None,
        "endpoints": {name: {"host": host, "port": port} for name, port in addresses(service).items()},
        "shell": list(service.shell), "shell_env": dict(service.shell_env), "user": service.user,
    }  # fmt: skip


def addresses(service: ServicePlan) -> dict[str, int]:
    """Name to outside port; the main one is reached through another where the kind says so (an advertised listener)."""
    found = {port.name: port.outside for port in service.ports if port.outside}
    if service.kind.outside_port in found and service.ports:
        found = {service.ports[0].name: found[service.kind.outside_port]}
    return found


def _run_plan(request: Request, plan: Plan, project: Project, record: Record, reporter: Reporter, timer: Timer, deadline: float) -> None:
    board = Board.of(plan.services, reporter.row)
    reporter.begin(plan)
    project.prepare(lambda service, text: board.say(service, text) if service else reporter.say(text))
    timer.phase("images")
    project.renew(record.expires)
    project.create()
    _refuse_changed_seeds(plan, project, record)
    timer.phase("create")
    environ = {**plan.outputs, **process_variables(record)}
    seeder = Seeder(plan, project, environ, plan.folder)
    work = BringUp(plan, project, record, board, seeder, save=record.save)
    try:
        work.run(deadline)
    finally:
        for name, row in board.rows.items():
            record.services[name] |= {"state": row.state, "ready_ms": row.ready_ms}
        timer.phase("services")


def process_variables(record: Record) -> dict[str, str]:
    """What a test process receives beside the outputs."""
    return {"ENVCTL_NAME": record.name, "ENVCTL_INSTANCE": record.id, "ENVCTL_ENGINE": record.engine}


def _refuse_changed_seeds(plan: Plan, project: Project, record: Record) -> None:
    for service in plan.services.values():
        seen = record.seeds.get(service.name, {})
        if not seen.get("steps") or seen.get("incarnation") != project.incarnation(service):
            continue
        wanted = [step.hash for step in service.steps]
        if wanted[: len(seen["steps"])] != seen["steps"]:
            changed = next((s for s, old in zip(service.steps, seen["steps"], strict=False) if s.hash != old), None)
            what = f"seed step {changed.number + 1} ({changed.title}, {changed.where}) has changed" if changed else "a seed step is gone"
            raise UsageError(
                f"{service.name}: {what} since its data was seeded",
                hint=f"`envctl reset {record.name} {service.name}` seeds it anew, `envctl up ... --fresh` starts over",
            )


def _ended(error: BaseException, request: Request, engine: Engine, record: Record, existed: bool, reporter: Reporter) -> BaseException:
    """What a failed `up` leaves: nothing, or all of it with --keep; an instance that was up before is never taken away."""
    with signals.shielded():
        if isinstance(error, KeyboardInterrupt):
            error = Interrupted("interrupted" if existed else "interrupted; everything is gone")
        ours = isinstance(error, EnvctlError)
        if not (existed or (request.keep and ours and not isinstance(error, Interrupted))):
            return _torn_down(error, engine, record)
        record.state, record.process, record.error = "up" if isinstance(error, UsageError) else "failed", "", str(error)
        record.save()
        if record.state == "failed":
            reporter.say(f"left for a look: `envctl logs {record.name}`; `envctl down {record.name}` removes it")
        return error


def _torn_down(error: BaseException, engine: Engine, record: Record) -> BaseException:
    record.stop = {}  # nobody waits for the coverage of what has failed
    left = tear_down(engine, record)
    if left and isinstance(error, EnvctlError):
        error.hint = f"{error.hint}\n  left behind: {', '.join(left)}".strip()
    return error
