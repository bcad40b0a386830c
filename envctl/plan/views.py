"""What a reference gives: a service seen from inside the environment or from the test process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from envctl.definition.expressions import ExpressionError, evaluate, evaluate_tree
from envctl.definition.kinds import Kind

Side = Literal["inside", "outside"]
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def private(port: str) -> str:
    """What a private port is called among the others: no port of a definition can have that name."""
    return f".{port}"


@dataclass(frozen=True)
class Subject:
    """A service as references know it."""

    name: str
    kind: Kind
    ports: Mapping[str, int]
    parameters: Mapping[str, Any]
    """Texts, defaults and drawn credentials; not yet evaluated."""
    several: Mapping[str, Mapping[str, Mapping[str, Any]]]
    url: str | None = None
    """Where it runs already (`--use`)."""

    @property
    def main_port(self) -> str | None:
        return next(iter(self.ports), None)

    @property
    def private(self) -> Sequence[str]:
        """What it listens on as a process of this machine, and nobody else is told of."""
        return self.kind.local.ports if self.kind.local else ()


@dataclass
class Resolver:
    """Evaluates properties once for each side; remembers whose outside address was asked for from inside."""

    subjects: Mapping[str, Subject]
    address: Callable[[Subject, str, Side], tuple[str, int]]
    scope: Mapping[str, Any]
    """What every expression sees: var, env, instance, tester, lane."""
    bind: Callable[[str], str] = lambda service: "0.0.0.0"
    prefix: Callable[[str], str] = lambda service: ""
    reserved: set[tuple[str, str]] = field(default_factory=set)
    _readers: dict[Side, dict[str, Any]] = field(default_factory=dict)
    _cache: dict[tuple[str, Side, str, bool], Any] = field(default_factory=dict)
    _busy: set[tuple[str, Side, str, bool]] = field(default_factory=set)

    def reader(self, side: Side, own: str | None = None) -> dict[str, Any]:
        """The scope of an expression that a service (inside) or the test process (outside) reads."""
        if side not in self._readers:
            self._readers[side] = dict(self.scope) | {name: View(self, name, side, side == "inside") for name in self.subjects}
        everybody = self._readers[side]
        return everybody if own is None else everybody | {"self": everybody[own]}

    def value(self, service: str, side: Side, key: str, from_inside: bool) -> Any:
        mark = (service, side, key, from_inside)  # by reader: what the test process has asked for reserves nothing
        if from_inside and side == "outside" and key in ("host", "port", "ports"):
            self._reserve(service)
        if mark in self._cache:
            return self._cache[mark]
        if mark in self._busy:
            raise ExpressionError(f"'{service}.{key}' refers to itself")
        self._busy.add(mark)
        try:
            self._cache[mark] = self._find(self.subjects[service], side, key, from_inside)
        finally:
            self._busy.discard(mark)
        return self._cache[mark]

    def _reserve(self, service: str) -> None:
        self.reserved |= {(service, port) for port in self.subjects[service].ports}

    def _find(self, subject: Subject, side: Side, key: str, from_inside: bool) -> Any:
        if key in ("inside", "outside"):
            return View(self, subject.name, key, from_inside)  # type: ignore[arg-type]
        if subject.url is not None and key in (given := _from_url(subject.url, side, self.scope)):
            return given[key]
        own = View(self, subject.name, side, from_inside)
        if key in ("host", "port"):
            return self._main(subject, side)[0 if key == "host" else 1]
        if key == "ports":
            return {name: self.address(subject, name, side)[1] for name in subject.ports}
        if key == "private":
            return {name: self.address(subject, private(name), "outside")[1] for name in subject.private}
        if key == "name":
            return subject.name
        if key == "bind":
            return self.bind(subject.name)
        if key == "prefix":
            return self.prefix(subject.name)
        if key == "first":
            return {name: self._name(own, next(iter(items))) if items else None for name, items in subject.several.items()}
        if key in subject.several:
            return {self._name(own, name): self._item(subject, own, key, name) for name in subject.several[key]}
        if key in subject.kind.properties:
            return evaluate(subject.kind.properties[key], {**self.scope, "self": own})
        if key in subject.parameters:
            scope = self.reader("inside", subject.name)
            return evaluate_tree(subject.parameters[key], scope)
        raise KeyError(key)

    def _main(self, subject: Subject, side: Side) -> tuple[str, int]:
        if subject.main_port is None:
            raise ExpressionError(f"'{subject.name}' has no port, so it has no address; give it `port:`")
        return self.address(subject, subject.main_port, side)

    def _name(self, own: View, name: str) -> str:
        """The keys of a definition are texts like any other: `$${` is a literal `${` in them too."""
        return str(evaluate(name, {**self.scope, "self": own}))

    def _item(self, subject: Subject, own: View, key: str, name: str) -> dict[str, Any]:
        item: dict[str, Any] = {"name": name, **subject.several[key][name]}
        item = {option: evaluate_tree(value, {**self.scope, "self": own}) for option, value in item.items()}
        for prop, text in subject.kind.several[key].properties.items():
            item[prop] = evaluate(text, {**self.scope, "self": own, "item": item})
        return item


class View(Mapping[str, Any]):
    """A service in an expression: `${db.url}`; its keys are its properties."""

    def __init__(self, resolver: Resolver, service: str, side: Side, from_inside: bool) -> None:
        self._resolver, self._service, self._side, self._from_inside = resolver, service, side, from_inside

    def __getitem__(self, key: str) -> Any:
        return self._resolver.value(self._service, self._side, key, self._from_inside)

    def __iter__(self) -> Iterator[str]:
        return iter(property_names(self._resolver.subjects[self._service]))

    def __len__(self) -> int:
        return len(property_names(self._resolver.subjects[self._service]))

    def __contains__(self, key: object) -> bool:
        return key in property_names(self._resolver.subjects[self._service])

    def __hash__(self) -> int:
        return hash((self._service, self._side))

    def __eq__(self, other: object) -> bool:
        return self is other

    def __str__(self) -> str:
        raise ExpressionError(f"'{self._service}' is a service; name one of its properties, e.g. ${{{self._service}.url}}")


def property_names(subject: Subject) -> list[str]:
    """Every name that a reference to the subject may use, in the order in which they are shown."""
    address = ["host", "port", "ports"] if subject.ports else []
    names = [*address, *subject.kind.properties, *subject.parameters, *subject.several, "name", "bind", "prefix", "first"]
    return list(dict.fromkeys([*names, "inside", "outside"]))


def _from_url(url: str, side: Side, scope: Mapping[str, Any]) -> dict[str, Any]:
    """The properties that a URL gives; a loopback host is the tests' machine for those inside."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if side == "inside" and host in LOOPBACK:
        host = str(scope["tester"]["host"])
        user, at, _ = parts.netloc.rpartition("@")
        parts = parts._replace(netloc=f"{user}{at}{host}" + (f":{parts.port}" if parts.port else ""))
    given: dict[str, Any] = {"url": urlunsplit(parts), "host": host, "port": parts.port or _DEFAULT_PORTS.get(parts.scheme)}
    if parts.username is not None:
        given |= {"username": _unquote(parts.username), "password": _unquote(parts.password or "")}
    if parts.path.strip("/"):
        given["database"] = _unquote(parts.path.strip("/"))
    return given


_DEFAULT_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432, "mysql": 3306, "redis": 6379, "amqp": 5672, "nats": 4222}


def _unquote(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text)
