"""A check of what a kind needs and accepts: images, versions, ports, checks, seed formats, conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from pydantic import ValidationError

from envctl.definition.kinds import Kind, items_of, parameters_of
from envctl.definition.load import Loaded
from envctl.definition.models import SeedStep, Service
from envctl.definition.source import TreePath
from envctl.definition.validate import problems_of
from envctl.errors import Problem, did_you_mean

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def check_service(name: str, service: Service, kind: Kind, loaded: Loaded, kinds: Mapping[str, Kind]) -> Iterator[Problem]:
    """Yield the mistakes of one service against its kind; *kinds* are those of all services."""
    checking = _Service(name, service, kind, loaded)
    # A missing key may be a consequence of another mistake, or be meant by an unknown key.
    wrong = loaded.partial.get(name, frozenset())
    if not wrong & {"kind", "image", "build", "run", "port", "ports"} and wrong <= Service.model_fields.keys():
        yield from checking.program()
    if not wrong & {"kind", "port", "ports"}:
        yield from checking.ready()
        yield from checking.publish()
    yield from checking.version()
    yield from checking.seeds()
    yield from checking.data()
    for other, condition in service.needs.items():
        if condition == "done" and other in kinds and not kinds[other].once and not service.from_compose:
            hint = f"`{other}: seeded`, or make it a `kind: job`"
            yield checking.problem(("needs", other), f"'{other}' never ends, and `done` waits for that", hint)


class _Service:
    def __init__(self, name: str, service: Service, kind: Kind, loaded: Loaded) -> None:
        self._at: TreePath = ("services", name)
        self._service, self._kind, self._loaded, self._name = service, kind, loaded, name

    def problem(self, path: TreePath, message: str, hint: str = "") -> Problem:
        return self._loaded.source.problem((*self._at, *path), message, hint)

    def program(self) -> Iterator[Problem]:
        service, kind = self._service, self._kind
        if not (kind.image or service.image or service.build or service.run):
            hint = "`image: REF`, `build: FOLDER` or `run: COMMAND`"
            yield self.problem((), f"nothing says what to run: a service of kind '{kind.kind}' has no image of its own", hint)
        has_port = bool(service.port or service.ports or kind.ports)
        if kind.kind == "api" and not has_port and not service.from_compose:
            yield self.problem((), "an API needs a port", "`port: 8000`")

    def publish(self) -> Iterator[Problem]:
        given, ports = self._service.publish, port_names(self._service, self._kind)
        if given is not None and not ports:
            yield self.problem(("publish",), "there is no port to publish", "`port: 8000`")
        for name in given if isinstance(given, dict) and ports else ():
            if name not in ports:
                yield self.problem(("publish", name), f"there is no port '{name}'", did_you_mean(name, ports))

    def version(self) -> Iterator[Problem]:
        service, kind = self._service, self._kind
        if service.version is None:
            return
        known = f"known: {', '.join(kind.versions)}" if kind.versions else ""
        if not _TAG.fullmatch(service.version):
            yield self.problem(("version",), f"'{service.version}' is not a version", known or "write the tag of an image")
        elif kind.image is None:
            hint = "put it into the image: `image: name:tag`"
            yield self.problem(("version",), f"the kind '{kind.kind}' has no versions", hint)
        elif service.image is not None:
            hint = f"`image: {service.image.partition(':')[0]}:{service.version}` gives both"
            yield self.problem(("version",), "`image` replaces the kind's image with its version, so this has no effect", hint)
        elif kind.versions and not _known_version(service.version, kind.versions):
            hint = f"{known}; or give a whole `image: {kind.image}:{service.version}`"
            yield self.problem(("version",), f"the kind '{kind.kind}' does not know version '{service.version}'", hint)

    def ready(self) -> Iterator[Problem]:
        ready, kind = self._service.ready, self._kind
        if ready is None:
            return
        ports = port_names(self._service, kind)
        if (ready.http is not None or ready.tcp) and not ports and not isinstance(ready.port, int):
            yield self.problem(("ready",), "this check needs a port, and the service has none", "`port: 8000`")
        is_name = isinstance(ready.port, str) and "${" not in ready.port and not ready.port.isdigit()
        if is_name and ready.port not in ports:
            message = f"there is no port '{ready.port}'"
            yield self.problem(("ready", "port"), message, did_you_mean(str(ready.port), ports))
        if ready.query is not None and not kind.query:
            hint = "`command:` runs a program of its own"
            yield self.problem(("ready", "query"), f"the kind '{kind.kind}' answers no queries", hint)

    def seeds(self) -> Iterator[Problem]:
        formats = [*self._kind.seeds, *(["http"] if self._kind.properties.get("url", "").startswith("http") else []), "command"]
        databases = self._declared("databases")
        for index, step in enumerate(self._service.seed):
            if step.format not in formats and not (step.format == "http" and step.in_):
                hint = f"it takes {', '.join(formats)}"
                message = f"the kind '{self._kind.kind}' takes no seeds of the format '{step.format}'"
                yield self.problem(("seed", index, step.format), message, hint)
            yield from self._inline(step, index)
            if step.database is not None and databases is not None and step.database not in databases:
                message = f"there is no database '{step.database}'"
                yield self.problem(("seed", index, "database"), message, did_you_mean(step.database, databases))
            if step.database is not None and databases is None and step.format != "keys":
                yield self.problem(("seed", index, "database"), f"the kind '{self._kind.kind}' has no databases")

    def _inline(self, step: SeedStep, index: int) -> Iterator[Problem]:
        """Yield the mistakes in data that the seed step itself contains."""
        feed = self._kind.seeds.get(step.format)
        if step.inline is None or (feed is None and step.format != "http"):
            return
        given = getattr(step, step.format)
        at: TreePath = (*self._at, "seed", index, step.format)
        from envctl.definition.seed_entries import inline_model

        try:
            inline_model(step.format, feed.dialect if feed else "", single=isinstance(given, dict)).validate_python(given)
        except ValidationError as error:
            yield from problems_of(error, given, at, self._loaded.source)

    def _declared(self, key: str) -> list[str] | None:
        if key not in self._kind.several:
            return None
        return list(items_of(self._kind, key, self._service.with_.get(key), self._name, self._loaded.budget))

    def data(self) -> Iterator[Problem]:
        if self._service.replicas > 1 and (self._kind.data or self._kind.once) and not self._service.from_compose:
            why = "runs once" if self._kind.once else "keeps data, which its copies would not share"
            yield self.problem(("replicas",), f"'{self._name}' {why}", "only programs without data have replicas")


def _known_version(version: str, known: Iterable[str]) -> bool:
    """Return whether the major version is one of those in *known*; True for a tag without a number."""
    major = re.match(r"[0-9]+", version)
    return major is None or major.group() in {each.split(".")[0] for each in known}


def port_names(service: Service, kind: Kind) -> list[str]:
    """Return the names of a service's ports, the main port first."""
    if service.from_compose:
        return list(service.ports)
    given = parameters_of(kind, service.with_)
    # A parameter that is an expression may become true, as a non-empty text does here.
    names = [name for name in kind.ports if name not in kind.ports_when or given.get(kind.ports_when[name])]
    if service.port is not None and not names:
        names = ["http" if kind.kind == "api" else "main"]
    return list(dict.fromkeys([*names, *service.ports]))
