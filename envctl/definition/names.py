"""Names that a definition gives are used rightly: needs, seeds, tests, formats, ports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from envctl.definition.models import Definition, SeedStep, Service
from envctl.definition.source import Source, TreePath
from envctl.errors import Problem, did_you_mean

FORMATS = ("dotenv", "shell", "json", "github", "properties")
_NO_VARIABLE = re.compile(r"[=\s\0]|^$")


@dataclass(frozen=True)
class Names:
    source: Source
    services: tuple[str, ...]
    """All of them, the broken ones too."""

    def problems(self, definition: Definition) -> Iterator[Problem]:
        for name, service in definition.services.items():
            yield from self._service(name, service)
        yield from self._alike()
        yield from self._top(definition)

    def _top(self, definition: Definition) -> Iterator[Problem]:
        if definition.ttl == 0:
            yield self.source.problem(("ttl",), "0 is no time to live", "like 2h")
        for target, form in definition.write.items():
            if form not in FORMATS:
                yield self.source.problem(("write", target), f"unknown format '{form}'", did_you_mean(form, FORMATS))
        for key in definition.outputs or {}:
            if _NO_VARIABLE.search(key):
                yield self.source.problem(("outputs", key), f"'{key}' is no name of an environment variable")
        for name, test in definition.tests.items():
            for index, only in enumerate(test.only):
                yield from self._exists(only, ("tests", name, "only", index))

    def _exists(self, name: str, path: TreePath, also: tuple[str, ...] = ()) -> Iterator[Problem]:
        if name not in self.services and name not in also:
            known = [*self.services, *also]
            yield self.source.problem(path, f"there is no service '{name}'", did_you_mean(name, known))

    def _service(self, name: str, service: Service) -> Iterator[Problem]:
        at = ("services", name)
        for other in service.needs:
            yield from self._exists(other, (*at, "needs", other))
            if other == name:
                yield self.source.problem((*at, "needs", other), f"'{name}' needs itself")
        for index, step in enumerate(service.seed):
            yield from self._step(step, (*at, "seed", index))
        for key in service.env:
            if _NO_VARIABLE.search(key):
                yield self.source.problem((*at, "env", key), f"'{key}' is no name of an environment variable")
        if service.run is not None and service.command is not None:
            message = "`run` is the whole program, `command` are arguments for the image's own; one of them is too many"
            yield self.source.problem((*at, "command"), message)
        if not service.from_compose:
            yield from self._ports(service, at)
        if service.ready is not None:
            yield from self._ready(service, at)

    def _step(self, step: SeedStep, at: TreePath) -> Iterator[Problem]:
        for other in step.needs:
            yield from self._exists(other, (*at, "needs", other))
        if step.in_ is not None:
            yield from self._exists(step.in_, (*at, "in"), ("server", "host"))
        if step.in_ is not None and step.command is None:
            yield self.source.problem((*at, "in"), "`in` says where a `command` runs; this step has none")

    def _ports(self, service: Service, at: TreePath) -> Iterator[Problem]:
        seen: dict[int, str] = {service.port: "port"} if service.port is not None else {}
        for name, number in service.ports.items():
            if number in seen:
                message = f"the port {number} stands twice"
                yield self.source.problem((*at, "ports", name), message, f"it is `{seen[number]}` already")
            seen.setdefault(number, f"ports.{name}")

    def _ready(self, service: Service, at: TreePath) -> Iterator[Problem]:
        ready = service.ready
        if ready is None:
            return
        if ready.timeout == 0:
            yield self.source.problem((*at, "ready", "timeout"), "0 is no time to get ready in", "like 60s")
        if ready.http is not None and not ready.http.startswith(("/", "${")):
            hint = f"`http: /{ready.http}`" if "://" not in ready.http else "`http: /healthz`; host and port are known"
            yield self.source.problem((*at, "ready", "http"), f"'{ready.http}' is no path of the service", hint)
        if ready.status is not None and ready.http is None:
            yield self.source.problem((*at, "ready", "status"), "`status` belongs to `http`, which is not there")
        if ready.log is not None and "${" not in ready.log:
            try:
                re.compile(ready.log)
            except (re.error, RecursionError, OverflowError) as error:
                message = f"'{ready.log}' is no regular expression: {error}"
                yield self.source.problem((*at, "ready", "log"), message)

    def _alike(self) -> Iterator[Problem]:
        """Names of hosts have no capitals, and on Kubernetes no underscores."""
        seen: dict[str, str] = {}
        for name in self.services:
            host = name.lower().replace("_", "-")
            if host in seen:
                message = f"'{name}' and '{seen[host]}' are the same host name"
                yield self.source.problem(("services", name), message, "they differ in case, or in - and _ only")
            seen.setdefault(host, name)
