"""One service of the definition -> ServicePlan, every text evaluated for its place inside the environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envctl.definition.dotenv import parse_dotenv
from envctl.definition.expressions import ExpressionError, evaluate, evaluate_tree, references
from envctl.definition.expressions import as_text as written
from envctl.definition.load import Loaded
from envctl.definition.models import Build, Command, Service
from envctl.errors import Problem
from envctl.kinds import Kind
from envctl.plan.commands import argv
from envctl.plan.files import service_files
from envctl.plan.health import checks_of, checks_of_composed, healthcheck_of
from envctl.plan.images import build_plan, rewrite
from envctl.plan.model import BuildPlan, Check, Port, ServicePlan, Setting
from envctl.plan.seeds import steps_of
from envctl.plan.views import Resolver, Subject, View, property_names

OWN_STOP = 10.0
"""Seconds that a service of the team's own gets on SIGTERM, so that coverage and traces are written."""


@dataclass(frozen=True)
class Builder:
    """What is the same for every service of a plan, and where its mistakes are gathered."""

    loaded: Loaded
    setting: Setting
    resolver: Resolver
    problems: list[Problem]

    @contextmanager
    def located(self, *path: str | int) -> Iterator[None]:
        """Mistakes in expressions under *path* become problems of the definition."""
        try:
            yield
        except ExpressionError as error:
            self.problems.append(self.problem(path, str(error)))

    def problem(self, path: tuple[str | int, ...], message: str, hint: str = "") -> Problem:
        file, line = self.loaded.source.at(path)
        return Problem(file, line, ".".join(map(str, path)), message, hint)

    def service(self, subject: Subject, service: Service, needs: Mapping[str, str]) -> ServicePlan:
        kind, name = subject.kind, subject.name
        scope = self.resolver.reader("inside", name)
        applied = Kind(kind=kind.kind, once=kind.once, own=kind.own) if service.from_compose else kind
        build = self._build(name, service)
        checks = self._checks(subject, service)
        checks = tuple(Check(c.probe, self.tree(c.options, scope, "services", name, "ready")) for c in checks)
        own = service.build is not None or service.run is not None or (kind.own and not service.from_compose)
        return ServicePlan(
            name=name,
            kind=kind,
            image=self._image(subject, service, build),
            build=build,
            entrypoint=tuple(map(str, self.tree(applied.entrypoint, scope, "services", name))),
            command=self._argv(service.command, scope, "services", name, "command")
            or ((), self._kind_command(applied, scope, name))[service.run is None],
            run=self._argv(service.run, scope, "services", name, "run"),
            folder=self._folder(name, service),
            env=self._env(service, applied, scope, name),
            files=self._files(service, applied, scope, name),
            ports=self.ports(subject),
            user=applied.user,
            data=applied.data,
            checks=checks,
            ready_timeout=service.ready.timeout if service.ready else 60.0,
            healthcheck=self._healthcheck(applied, checks, subject, scope),
            needs=needs,
            steps=tuple(steps_of(self, name, service, kind)),
            setup=tuple(self._setup(applied, subject, scope)),
            inside=self._properties(subject, "inside"),
            outside=self._properties(subject, "outside"),
            stop=service.stop if service.stop is not None else (OWN_STOP if own else 0.0),
            replicas=service.replicas,
            resources=service.resources,
            shell=tuple(map(str, self.tree(kind.shell, scope, "services", name))),
            shell_env=self.tree(kind.shell_env, scope, "services", name),
            tester=self._calls_home(service),
            from_compose=service.from_compose,
            compose=self.tree(service.compose, scope, "services", name, "compose"),
            kubernetes=service.kubernetes,
        )

    def _checks(self, subject: Subject, service: Service) -> tuple[Check, ...]:
        if not service.from_compose:
            return checks_of(subject.kind, service.ready, subject.ports)
        given = service.compose
        return checks_of_composed(subject.kind, service.ready, given.get("healthcheck"), bool(given.get("ports")), bool(service.seed))

    def _calls_home(self, service: Service) -> bool:
        """Whether it refers to the machine of the tests, by name or as a server that runs there already (`--use`)."""
        there = [name for name, subject in self.resolver.subjects.items() if subject.url is not None]
        readable = [service.env, service.run, service.command, service.with_]
        return any(ref.root in ("tester", *there) for text in texts(readable) for ref in references(text, ("tester", *there)))

    def tree(self, value: Any, scope: Mapping[str, Any], *path: str | int) -> Any:
        try:
            return _plain(evaluate_tree(value, scope))
        except ExpressionError as error:
            self.problems.append(self.problem((*path, *getattr(error, "path", ())), str(error)))
            return type(value)() if isinstance(value, dict | list | str) else value

    def _argv(self, command: Command | None, scope: Mapping[str, Any], *path: str) -> tuple[str, ...]:
        found: tuple[str, ...] = ()
        with self.located(*path):
            found = tuple(argv(command, scope))
        return found

    def _kind_command(self, kind: Kind, scope: Mapping[str, Any], name: str) -> tuple[str, ...]:
        """The kind's arguments; an expression that gives a list stands for its items."""
        found: list[str] = []
        for value in self.tree(kind.command, scope, "services", name):
            found += map(str, value) if isinstance(value, list) else [str(value)]
        return tuple(found)

    def _env(self, service: Service, kind: Kind, scope: Mapping[str, Any], name: str) -> dict[str, str]:
        env = dict(self.tree(kind.env, scope, "services", name))
        for file in service.env_file:
            env |= parse_dotenv(self.loaded.path(file, ("services", name, "env_file")).read_text("utf-8"))
        for key, value in service.env.items():
            if value is None:
                env |= {key: self.setting.environ[key]} if key in self.setting.environ else {}
                continue
            with self.located("services", name, "env", key):
                env[key] = evaluate(value, scope)
        return {key: as_text(value) for key, value in env.items() if value is not None}

    def _files(self, service: Service, kind: Kind, scope: Mapping[str, Any], name: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        with self.located("services", name, "with"):
            found = service_files(kind, scope, service.files, lambda text, key: self.loaded.path(text, ("services", name, key)))
        return found

    def _image(self, subject: Subject, service: Service, build: BuildPlan | None) -> str:
        if build is not None:
            return build.tag
        if service.image:
            return rewrite(service.image, self.setting.rewrite)
        image = evaluate_tree(subject.kind.image or "", self.resolver.reader("inside", subject.name))
        version = service.version or subject.kind.version
        if subject.kind.tag:
            version = evaluate(subject.kind.tag, {**self.resolver.reader("inside", subject.name), "version": version})
        return rewrite(f"{image}:{version}" if version else str(image), self.setting.rewrite)

    def _build(self, name: str, service: Service) -> BuildPlan | None:
        if service.build is None:
            return None
        build = Build(context=service.build) if isinstance(service.build, str) else service.build
        context = self.loaded.path(build.context, ("services", name, "build"))
        return build_plan(build, context, service.image)

    def _folder(self, name: str, service: Service) -> Path:
        if service.build is None:
            return self.loaded.folder
        text = service.build if isinstance(service.build, str) else service.build.context
        return self.loaded.path(text, ("services", name, "build"))

    def ports(self, subject: Subject) -> tuple[Port, ...]:
        known = self.resolver.reserved | self.setting.fixed
        return tuple(
            Port(name, number, self.setting.ports.get((subject.name, name)), (subject.name, name) in known)
            for name, number in subject.ports.items()
        )

    def _healthcheck(self, kind: Kind, checks: tuple[Check, ...], subject: Subject, scope: Mapping[str, Any]) -> tuple[str, ...]:
        if kind.healthcheck:
            return tuple(map(str, self.tree(kind.healthcheck, scope, "services", subject.name)))
        return () if kind.healthcheck_loss else healthcheck_of(checks, subject.ports)

    def _setup(self, kind: Kind, subject: Subject, scope: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, str], str]]:
        own: View = scope["self"]
        for setup in kind.setup:
            once: list[Any] = [None] if not setup.when or own[setup.when] else []
            for item in own[setup.each].values() if setup.each else once:
                inner = {**scope, "item": item}
                command = self.tree(setup.command, inner, "services", subject.name)
                yield tuple(map(str, command)), self.tree(setup.env, inner, "services", subject.name), str(evaluate(setup.stdin, inner))

    def _properties(self, subject: Subject, side: Any) -> dict[str, Any]:
        """Every property that has a value on that side."""
        view, found = View(self.resolver, subject.name, side, False), {}
        for key in property_names(subject):
            if key in ("inside", "outside", "first", "bind"):
                continue
            try:
                found[key] = _plain(view[key])
            except (ExpressionError, KeyError):
                continue
        return found


def texts(value: Any) -> Iterator[str]:
    """Every text in a tree."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


def as_text(value: Any) -> str:
    """A value as it stands in an environment: `true`, numbers as they are, lists and maps as JSON."""
    return written(_plain(value))


def _plain(value: Any) -> Any:
    """Views as what they are called, maps and lists as plain ones."""
    if isinstance(value, View):
        return str(value)  # raises: a service is no value
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
