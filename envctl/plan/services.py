"""The plan of one service, with every text evaluated for its place in the environment."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from envctl.definition.amounts import bytes_of
from envctl.definition.compose_programs import only_waits, runs_its_server
from envctl.definition.env_files import variables_of
from envctl.definition.expressions import evaluate, evaluate_tree, render_text
from envctl.definition.kinds import Kind, Kubernetes, Local, Setup, localised
from envctl.definition.models import Build, Requests, Resources, Service
from envctl.definition.patterns import SYNTAX, no_pattern
from envctl.errors import DefinitionError
from envctl.plan.addressing import TESTS, Viewpoint
from envctl.plan.composed import check_composed
from envctl.plan.dockerfile_run import proposed_run
from envctl.plan.exposing import Exposed
from envctl.plan.files import contents, listed, service_files, texts_of
from envctl.plan.health import checks_of, checks_of_composed, healthcheck_of, unexpressed
from envctl.plan.images import build_plan, rewrite
from envctl.plan.model import BuildPlan, Check, File, FirstStep, Limits, LocalPlan, Port, Requested, ServicePlan, SnapshotPlan
from envctl.plan.reading import Reading, as_text, referred, refers
from envctl.plan.referenced_services import Subject
from envctl.plan.seeds import steps_of
from envctl.plan.units import properties_of, unit_of
from envctl.plan.views import View

OWN_STOP = 10.0
"""The seconds that a service of the team's own has to end after SIGTERM, so that it can write coverage and traces."""


def service_plan(reading: Reading, subject: Subject, service: Service, needs: Mapping[str, str]) -> ServicePlan:
    """Return the plan of *service*. Mistakes become problems of *reading*.

    Args:
        needs: the services for which this service waits, each with its condition.
    """
    name, local = subject.name, reading.addressing.is_process(subject.name)
    kind = localised(subject.kind) if local else subject.kind
    scope = reading.resolver.reader_in(name)
    applied = Kind(kind=kind.kind, once=kind.once, own=kind.own) if service.from_compose else kind
    check_composed(reading, name, service)
    build = _build(reading, name, service)
    image = _image(reading, subject, service, build)
    checks = _checks(reading, kind, subject, service)
    checks = tuple(Check(c.probe, reading.tree(c.options, scope, "services", name, "ready")) for c in checks)
    for check in checks:
        if check.probe == "log" and (complaint := no_pattern(str(check.options["log"]))):
            reading.wrong(("services", name, "ready", "log"), complaint, SYNTAX)
    own = service.build is not None or service.run is not None or (kind.own and not service.from_compose)
    files = _files(reading, service, applied, scope, name)
    return ServicePlan(
        name=name,
        kind=kind.kind,
        host=reading.addressing.name(name),
        image=image,
        build=build,
        entrypoint=tuple(map(str, reading.tree(applied.entrypoint, scope, "services", name))),
        command=reading.argv(service.command, scope, "services", name, "command")
        or ((), _kind_command(reading, applied, scope, name))[service.run is None],
        run=_run(reading, service, scope, name),
        folder=_folder(reading, name, service),
        env=variables(reading, service, applied, scope, name),
        unset=_unset(reading, service),
        files=files,
        ports=ports_of(reading, subject),
        exposed=_exposed(reading, subject),
        user=applied.user,
        data=applied.data,
        ephemeral=not (subject.parameters.get(applied.kept) if isinstance(applied.kept, str) else applied.kept),
        checks=checks,
        ready_timeout=service.ready.timeout if service.ready else 60.0,
        slow=kind.slow,
        healthcheck=_healthcheck(reading, applied, checks, subject, scope),
        needs=needs,
        steps=tuple(steps_of(reading, subject, service, kind, image, _without(files, applied.files))),
        setup=tuple(_setup(reading, applied.setup, subject, scope)),
        inside=properties_of(reading, subject, Viewpoint("inside")),
        outside=properties_of(reading, subject, TESTS),
        declares=tuple(module for key, module in applied.declare.items() if subject.several.get(key)),
        stop=service.stop if service.stop is not None else (OWN_STOP if own else 0.0),
        once=kind.once,
        own=kind.own,
        replicas=1 if local else service.replicas,
        resources=_limits(service.resources),
        mounts=tuple(applied.mounts),
        writable=_writable(kind, service),
        unexpressed=() if service.from_compose else tuple(unexpressed(kind, checks, subject.ports)),
        healthcheck_loss=applied.healthcheck_loss,
        losses=tuple(kind.losses),
        advertised=kind.outside_port,
        pod=_pod(kind, service),
        shell=tuple(map(str, reading.tree(kind.shell, scope, "services", name))),
        shell_env={key: value for key, value in reading.tree(kind.shell_env, scope, "services", name).items() if value is not None},
        local=_local(reading, kind, subject, service, scope) if local else None,
        snapshot=_snapshot(reading, applied, subject, scope) or (_copied(reading, kind) if service.from_compose else None),
        personal=bool(refers(service, ("instance",)) or referred(service.with_, ("self",))),
        drawn=subject.drawn,
        tester=bool(refers(service, ("tester", *reading.resolver.elsewhere))),
        from_compose=service.from_compose,
        places=kind.places if service.from_compose else (),
        compose=service.compose,
        kubernetes=reading.tree(service.kubernetes, scope, "services", name, "kubernetes"),
        unit=unit_of(reading, subject),
        lane=reading.addressing.lanes.number(name),
        written=reading.addressing.lanes.written(name),
        later=tuple(key for key in ("faults",) if getattr(service, key) is not None),
    )


def _checks(reading: Reading, kind: Kind, subject: Subject, service: Service) -> tuple[Check, ...]:
    if not service.from_compose:
        return checks_of(kind, service.ready, subject.ports)
    given, published = service.compose, any(port.get("protocol", "tcp") == "tcp" for port in service.compose.get("ports") or [])
    closed = subject.ports if subject.closed else None
    build = service.build.model_dump() if isinstance(service.build, Build) else None
    itself = published or runs_its_server(given, build, reading.loaded.project)
    idle = only_waits(given)
    return checks_of_composed(kind, service.ready, given.get("healthcheck"), published, bool(service.seed), closed, itself, idle)


def _kind_command(reading: Reading, kind: Kind, scope: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the kind's arguments; an expression that returns a list becomes several arguments."""
    found: list[str] = []
    for value in reading.tree(kind.command, scope, "services", name):
        found += map(str, value) if isinstance(value, list) else [str(value)]
    return tuple(found)


def variables(reading: Reading, service: Service, kind: Kind, scope: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return the environment variables of a service: of its kind, overridden by its `env_file`, overridden by its `env`."""
    env = dict(reading.tree(kind.env, scope, "services", name))
    for file in service.env_file:
        path = reading.loaded.path(file, ("services", name, "env_file"))
        with reading.located("services", name, "env_file"):
            env |= reading.once(("variables", path), partial(variables_of, path, reading.loaded.project, reading.setting.environ))
    for key, value in service.env.items():
        if value is None:
            env |= {key: reading.setting.environ[key]} if key in reading.setting.environ else {}
            continue
        with reading.located("services", name, "env", key):
            env[key] = evaluate(value, scope)
    return {key: as_text(value) for key, value in env.items() if value is not None}


def _unset(reading: Reading, service: Service) -> tuple[str, ...]:
    """Return variables that a Compose file unsets: a name without a value removes the image's variable, unless the caller has a value."""
    bare = (key for key, value in service.env.items() if value is None and key not in reading.setting.environ)
    return tuple(bare) if service.from_compose else ()


def _files(reading: Reading, service: Service, kind: Kind, scope: Mapping[str, Any], name: str) -> dict[str, File]:
    def resolve(text: str, key: str) -> Path:
        return reading.loaded.path(text, ("services", name, key))

    def read_all(path: Path) -> Mapping[str, File]:
        return reading.once(("files", path), partial(contents, path, reading.loaded.project))

    files: dict[str, File] = {}
    with reading.located("services", name, "with"):
        files |= service_files(kind, scope, service.files, resolve, read_all)
    return files


def _without(files: Mapping[str, File], texts: Collection[str]) -> dict[str, File]:
    """Return the files without the kind's own texts, which contain generated values of this instance."""
    return {path: file for path, file in files.items() if path not in texts}


def _image(reading: Reading, subject: Subject, service: Service, build: BuildPlan | None) -> str:
    if build is not None:
        return build.tag
    named = service.image or subject.kind.image
    if not named and reading.setting.engine.uses_images and not reading.addressing.is_process(subject.name):
        hint = "`image: REF`, or `build: FOLDER` with a Dockerfile; or `--engine local`"
        reading.wrong(("services", subject.name), "a container needs an image", hint)
    if service.image:
        return rewrite(service.image, reading.setting.rewrite)
    scope = reading.resolver.reader_in(subject.name)
    image = evaluate_tree(subject.kind.image or "", scope)
    version = service.version or subject.kind.version
    if subject.kind.tag:
        version = evaluate(subject.kind.tag, {**scope, "version": version})
    return rewrite(f"{image}:{version}" if version else str(image), reading.setting.rewrite)


def _build(reading: Reading, name: str, service: Service) -> BuildPlan | None:
    if service.build is None or reading.addressing.is_process(name):
        return None
    build = Build(context=service.build) if isinstance(service.build, str) else service.build
    found: BuildPlan | None = None
    with reading.located("services", name, "build"):
        context = _folder(reading, name, service)
        found = reading.once(("build", name), partial(_build_plan, reading, build, context, service.image))
    return found  # noqa: RET504 -- None if the block has noted a mistake


def _build_plan(reading: Reading, build: Build, context: Path, name: str | None) -> BuildPlan:
    loaded = reading.loaded
    written = {loaded.folder / target for target in (loaded.definition.write if loaded.definition else ())}
    written = {Path(os.path.normpath(path)) for path in written}
    return build_plan(build, context, name, loaded.project, as_named=reading.setting.image_names, written=written)


def _folder(reading: Reading, name: str, service: Service) -> Path:
    if service.build is None:
        return reading.loaded.folder
    text = service.build if isinstance(service.build, str) else service.build.context
    return reading.loaded.path(text, ("services", name, "build"))


def _exposed(reading: Reading, subject: Subject) -> Exposed | None:
    found: Exposed | None = None
    with reading.located("services", subject.name, "expose"):
        found = reading.resolver.exposed(subject)
    return found  # noqa: RET504 -- None if the block has noted a mistake


def ports_of(reading: Reading, subject: Subject) -> tuple[Port, ...]:
    """Return the ports of *subject*, with the outside numbers as far as they are known."""
    known, ports = reading.resolver.reserved | reading.setting.fixed, reading.setting.allocation.ports
    return tuple(
        Port(name, number, None if subject.closed else ports.get((subject.name, name)), (subject.name, name) in known)
        for name, number in subject.ports.items()
    )


def _healthcheck(reading: Reading, kind: Kind, checks: tuple[Check, ...], subject: Subject, scope: Mapping[str, Any]) -> tuple[str, ...]:
    if kind.healthcheck:
        return tuple(map(str, reading.tree(kind.healthcheck, scope, "services", subject.name)))
    return () if kind.healthcheck_loss else healthcheck_of(checks, subject.ports)


def _run(reading: Reading, service: Service, scope: Mapping[str, Any], name: str) -> tuple[str, ...]:
    if not (service.shell and isinstance(service.run, str)):
        return reading.argv(service.run, scope, "services", name, "run")
    text = reading.tree(service.run, scope, "services", name, "run")
    return ("sh", "-c", as_text(text))


def _local(reading: Reading, kind: Kind, subject: Subject, service: Service, scope: Mapping[str, Any]) -> LocalPlan:
    """Return the additional needs of a process on this machine; add a problem if the service cannot be one."""
    where = ("services", subject.name)
    if (kind.own or service.from_compose) and not service.run:
        proposed = ""
        with suppress(DefinitionError):  # a wrong folder is another problem, reported elsewhere
            proposed = proposed_run(service.build, _folder(reading, subject.name, service), reading.loaded.project, service.port)
        if service.from_compose and kind.local is not None:
            hint = f"a service of a Compose file is a container; `kind: {kind.kind}` without `from:` also runs here"
        else:
            hint = f"`{proposed or 'run: COMMAND'}` starts it from source; or bring it up on Docker"
        reading.wrong(where, "nothing says how it runs as a process of this machine", hint)
    elif not kind.own and kind.local is None and not service.run:
        hint = "use Docker, or `--use S=URL` for one that is running"
        reading.wrong(where, f"the kind '{kind.kind}' only runs in a container", hint)
    local = kind.local or Local()
    first = tuple(FirstStep(*made, step.again) for step in local.first for made in _setup(reading, [step], subject, scope))
    missing = tuple(
        (str(evaluate(each.file, {**scope, "item": item})), str(evaluate(each.message, {**scope, "item": item})))
        for each in local.missing
        for item in listed(scope["self"][each.each])
    )
    template = tuple(map(str, reading.tree(local.template, scope)))
    image = "" if kind.own else service.image or ""
    program = None if service.run else kind.local
    return LocalPlan(_version(kind, service), template, first, missing, service.replicas, image, program, kind.title)


def _snapshot(reading: Reading, kind: Kind, subject: Subject, scope: Mapping[str, Any]) -> SnapshotPlan | None:
    told, path = kind.snapshot, ("services", subject.name)
    if told is None:
        return None
    files: dict[str, File] = {}
    with reading.located(*path, "with"):
        files = texts_of(told.files, scope)
    return SnapshotPlan(
        told.folder,
        told.worth == "always",
        _hash(kind),
        tuple(_setup(reading, told.consistent, subject, scope)),
        {key: str(value) for key, value in reading.tree(told.env, scope, *path).items()},
        tuple(map(str, reading.tree(told.arguments, scope, *path))),
        files,
        str(reading.tree(told.before, scope, *path)),
        told.direct,
    )


def _copied(reading: Reading, kind: Kind) -> SnapshotPlan | None:
    """Return how a server of a Compose file is kept. Its data is that of a first start with the same file, so a copy is used unchanged."""
    told = kind.snapshot
    if told is None or told.worth != "always" or not reading.setting.engine.copies_kept:
        return None
    return SnapshotPlan(told.folder, True, _hash(kind))


def _hash(kind: Kind) -> str:
    return hashlib.sha256(kind.model_dump_json().encode()).hexdigest()


def _limits(given: Resources | None) -> Limits | None:
    if given is None:
        return None
    return Limits(*_amounts(given), Requested(*_amounts(given.requests)))


def _amounts(given: Requests) -> tuple[float | None, int | None, int | None]:
    memory, storage = (bytes_of(text) if text is not None else None for text in (given.memory, given.storage))
    return given.cpu, memory, storage


def _writable(kind: Kind, service: Service) -> tuple[str, ...]:
    """Return the paths that stay writable. In a Compose file only data is, as its image may differ from the kind's in all other paths."""
    if service.from_compose:
        return (kind.data,) if kind.data else ()
    return tuple(kind.writable)


def _pod(kind: Kind, service: Service) -> Kubernetes:
    own = kind.kubernetes
    found = {"user": own.user or kind.user, "read_only": _read_only(kind, service)}
    return own.model_copy(update=found | ({"init_copies": {}, "probe": {}} if service.from_compose else {}))


def _read_only(kind: Kind, service: Service) -> bool:
    """Return whether the root file system is read-only: the kind must list writable paths, and the team's own code may write anywhere."""
    said = kind.kubernetes.read_only
    return bool(said) if said is not None or service.from_compose or kind.own else bool(kind.writable)


def _version(kind: Kind, service: Service) -> str:
    """Return the requested version, which is the tag if the definition has an image."""
    tag = re.search(r":(\d[^/:@]*)(@|$)", service.image or "")
    return tag[1] if tag else "" if service.image else service.version or kind.version or ""


def _setup(
    reading: Reading, steps: Sequence[Setup], subject: Subject, scope: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], dict[str, str], str]]:
    own: View = scope["self"]
    for setup in steps:
        items: list[Any] = []
        with reading.located("services", subject.name, "with", setup.each or setup.when):
            items = list(own[setup.each].values()) if setup.each else [None] if not setup.when or own[setup.when] else []
        for item in items:
            inner = {**scope, "item": item}
            command = reading.tree(setup.command, inner, "services", subject.name)
            yield tuple(map(str, command)), reading.tree(setup.env, inner, "services", subject.name), render_text(setup.stdin, inner)
