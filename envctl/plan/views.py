"""The values of references: a service as seen from inside the environment or from a test process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit, urlunsplit

from envctl.definition.expressions import ExpressionError, evaluate, evaluate_tree
from envctl.definition.kinds import is_divided
from envctl.definition.models import Expose
from envctl.instance.units import PLACEHOLDER
from envctl.plan.addressing import LEASED, TESTS, Addressing, Viewpoint
from envctl.plan.exposing import Exposed
from envctl.plan.proxy import PROXY, PROXY_PORT, exposed_by
from envctl.plan.referenced_services import Subject, private

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass
class Resolver:
    """The views of all services from all viewpoints. It records the ports whose outside number a service inside asked for (`reserved`)."""

    subjects: Mapping[str, Subject]
    addressing: Addressing
    scope: Mapping[str, Any]
    """The names that every expression can use: var, env, instance."""
    reserved: set[tuple[str, str]] = field(default_factory=set)
    _readers: dict[tuple[Viewpoint, str | None], dict[str, Any]] = field(default_factory=dict)
    _views: dict[tuple[Viewpoint, str], View] = field(default_factory=dict)

    def reader(self, viewpoint: Viewpoint, own: str | None = None) -> Mapping[str, Any]:
        """Return the scope of an expression that is read from *viewpoint*; `self` is the service *own*."""
        key = (self.addressing.alike(viewpoint), own)
        if key not in self._readers:
            self._readers[key] = self._reader(*key)
        return self._readers[key]

    def _reader(self, viewpoint: Viewpoint, own: str | None) -> dict[str, Any]:
        if own is not None:
            return {**self.reader(viewpoint), "self": self.view(own, viewpoint)}
        return self.seen(viewpoint) | self._scope(viewpoint)

    def seen(self, viewpoint: Viewpoint) -> dict[str, View]:
        """Return every service as seen from *viewpoint*, by its name in the definition, including services that expressions cannot name."""
        lanes = self.addressing.lanes
        written = [name for name in self.subjects if lanes.number(name) < 2]
        return {name: self.view(lanes.service(name, viewpoint.lane), viewpoint) for name in written}

    @cached_property
    def elsewhere(self) -> Sequence[str]:
        """The services that run elsewhere (`--use`)."""
        return [name for name, subject in self.subjects.items() if subject.url is not None]

    def reader_in(self, service: str, lane: int | None = None) -> Mapping[str, Any]:
        """Return the scope of an expression of *service*, for the place where the service runs; `self` is the service."""
        return self.reader(self.addressing.standpoint(service, lane), service)

    def _scope(self, viewpoint: Viewpoint) -> dict[str, Any]:
        return {**self.scope, "tester": {"host": self.addressing.tester(viewpoint)}, "lane": {"number": max(viewpoint.lane, 1)}}

    def view(self, service: str, viewpoint: Viewpoint) -> View:
        """Return the view of *service* from *viewpoint*; always the same object."""
        if (viewpoint, service) not in self._views:
            self._views[viewpoint, service] = View(self, self.subjects[service], viewpoint)
        return self._views[viewpoint, service]

    def find(self, own: View, key: str) -> Any:
        """Return the property *key* of *own*, evaluated.

        Raises:
            KeyError: the property does not exist.
            ExpressionError: its text cannot be evaluated.
        """
        subject, viewpoint = own.subject, own.viewpoint
        if key in ("host", "port", "ports") and self.addressing.reserves(viewpoint):
            self.reserved |= {(subject.name, port) for port in subject.ports}
        if key in ("inside", "outside"):
            return self.view(subject.name, viewpoint.on("inside" if key == "inside" else "outside"))
        if own.unreachable and key in self.PLACE and key not in ("name", "bind", "prefix"):
            raise ExpressionError(f"'{subject.name}' is only in networks that are `internal`, so nothing outside them reaches it")
        if subject.url is not None and key in (given := self._given(subject.url, viewpoint)):
            return given[key]
        if key == "public_url" and not subject.expose:
            raise ExpressionError(f"'{subject.name}' has no URL for browsers; give it `expose: true`")
        if key in self.PLACE:
            return self.PLACE[key](self, subject, viewpoint)
        if key == "first":
            return {key: self._first(own, key) for key in subject.several}
        if key == "units":
            return self._units(own)
        if key in subject.several:
            return {self._name(own, name): self._item(own, key, name) for name in subject.several[key]}
        if self._is_divided(own) and (unit := subject.kind.unit):
            if key == unit.parameter:
                return self.unit_name(own, None)
            if key in unit.properties and viewpoint.lane != LEASED:
                return evaluate(unit.properties[key], {**self._of(own), "seeded": self.view(subject.name, viewpoint._replace(lane=0))})
        if key in subject.kind.properties and subject.parameters.get(key) is None:
            return evaluate(subject.kind.properties[key], self._of(own))
        if key in subject.parameters:
            return evaluate_tree(subject.parameters[key], self.reader_in(subject.name, viewpoint.lane))
        raise KeyError(key)

    def _main(self, subject: Subject, viewpoint: Viewpoint) -> tuple[str, int]:
        if subject.main_port is None:
            raise ExpressionError(f"'{subject.name}' has no port, so it has no address; give it `port:`")
        return self.addressing.address(subject, subject.main_port, viewpoint)

    def _ports(self, subject: Subject, viewpoint: Viewpoint) -> dict[str, int]:
        return {name: self.addressing.address(subject, name, viewpoint)[1] for name in subject.ports}

    def _private(self, subject: Subject, viewpoint: Viewpoint) -> dict[str, int]:
        return {name: self.addressing.address(subject, private(name), viewpoint.on("outside"))[1] for name in subject.private}

    def exposed(self, subject: Subject) -> Exposed | None:
        """Return the URL of *subject* for browsers; None if it has none. Raise ExpressionError if the exposed port does not exist."""
        if subject.url is not None:
            return None
        try:
            return exposed_by(self.addressing, subject)
        except ValueError as error:
            raise ExpressionError(str(error)) from None

    def _public_url(self, subject: Subject, viewpoint: Viewpoint) -> str:
        """Return the URL for browsers; without a proxy or gateway, the published port on the tests' machine."""
        if subject.url is not None:
            return subject.url
        found, outside = self.exposed(subject), viewpoint.on("outside")
        if found is not None:
            if PROXY in self.subjects and self.addressing.reserves(outside):
                self.reserved.add(PROXY_PORT)
            return found.url
        told = subject.expose if isinstance(subject.expose, Expose) else Expose()
        names = [name for name, number in subject.ports.items() if told.port in (None, name, number)]
        if not names:
            raise ExpressionError(f"'{subject.name}' has no port {told.port or ''}, so it has no URL".replace("port ,", "port,"))
        if self.addressing.reserves(outside):
            self.reserved.add((subject.name, names[0]))
        host, number = self.addressing.address(subject, names[0], outside)
        return f"http://{host}:{number}{told.path.rstrip('/')}"

    PLACE: ClassVar[Mapping[str, Callable[[Resolver, Subject, Viewpoint], Any]]] = {
        "host": lambda self, subject, viewpoint: self._main(subject, viewpoint)[0],
        "port": lambda self, subject, viewpoint: self._main(subject, viewpoint)[1],
        "ports": _ports,
        "private": _private,
        "name": lambda self, subject, viewpoint: subject.name,
        "bind": lambda self, subject, viewpoint: self.addressing.bind(subject.name),
        "public_url": lambda self, subject, viewpoint: self._public_url(subject, viewpoint),
        "prefix": lambda self, subject, viewpoint: self.addressing.prefix(subject.name),
    }
    """The properties that say where a service is."""

    def _of(self, own: View) -> dict[str, Any]:
        """Return the scope of a kind's texts for its service."""
        return {**self._scope(own.viewpoint), "self": own}

    def _given(self, url: str, viewpoint: Viewpoint) -> dict[str, Any]:
        """Return the properties that a URL contains. For a service inside, a loopback host becomes the host of the tests' machine."""
        return _from_url(url, self.addressing.tester(viewpoint) if viewpoint.side == "inside" else None)

    def _is_divided(self, own: View) -> bool:
        """Return whether *own* is a lane's or a lease's view of a server that lanes divide."""
        subject, lanes = own.subject, self.addressing.lanes
        return subject.url is None and (own.viewpoint.lane == LEASED or (own.viewpoint.lane > 0 and not lanes.number(subject.name)))

    def _units(self, own: View) -> list[View]:
        """Return the units of the lanes, from the first lane on; empty if each lane has a server of its own."""
        lanes = self.addressing.lanes
        divided = is_divided(own.subject.kind) and not lanes.number(own.subject.name)
        return [self.view(own.subject.name, own.viewpoint._replace(lane=lane)) for lane in range(1, lanes.count + 1) if divided]

    def unit_name(self, own: View, item: str | None) -> Any:
        """Return the name (or the parameter's value) of the unit of *own* in its lane, derived from the seeded *item*."""
        unit, lane = own.subject.kind.unit, own.viewpoint.lane
        assert unit is not None
        return PLACEHOLDER if lane == LEASED else self.named(own.subject, unit.name, item, lane)

    def named(self, subject: Subject, text: str, item: str | None, lane: int = 0) -> Any:
        """Return the value of *text* from a kind's `unit:`, for the seeded *item* of *subject*."""
        base = self.view(subject.name, TESTS)
        scope = {**self._of(base), "lane": {"number": lane}, "item": {"name": item}}
        found = evaluate(text, scope)
        return _cut(found, unit.longest) if isinstance(found, str) and (unit := subject.kind.unit) else found

    def _first(self, own: View, key: str) -> str | None:
        first = next(iter(own.subject.several[key]), None)
        return None if first is None else str(self._item_name(own, key, self._name(own, first)))

    def _item_name(self, own: View, key: str, name: str) -> Any:
        unit = own.subject.kind.unit
        return self.unit_name(own, name) if unit is not None and key == unit.several and self._is_divided(own) else name

    def _name(self, own: View, name: str) -> str:
        """Return the evaluated *name*: keys of a definition are texts like others, in which `$${` is a literal `${`."""
        return str(evaluate(name, self._of(own)))

    def _item(self, own: View, key: str, name: str) -> dict[str, Any]:
        scope = self._of(own)
        item = {"name": name, **own.subject.several[key][name]}
        item = {option: evaluate_tree(value, scope) for option, value in item.items()}
        item["name"] = self._item_name(own, key, item["name"])
        for prop, text in own.subject.kind.several[key].properties.items() if not own.unreachable else ():
            item[prop] = evaluate(text, {**scope, "item": item})
        return item


class View(Mapping[str, Any]):
    """A service in an expression, such as `db` in `${db.url}`. Its keys are its properties, each evaluated once."""

    def __init__(self, resolver: Resolver, subject: Subject, viewpoint: Viewpoint) -> None:
        self._resolver, self.subject, self.viewpoint = resolver, subject, viewpoint
        self._found: dict[str, Any] = {}
        self._busy: set[str] = set()

    @property
    def unreachable(self) -> bool:
        """Whether the service has no address for this viewpoint, and no properties that contain an address."""
        return self.subject.closed and self.viewpoint.side == "outside"

    def __getitem__(self, key: str) -> Any:
        if key in self._found:
            return self._found[key]
        if key in self._busy:
            raise ExpressionError(f"'{self.subject.name}.{key}' refers to itself")
        self._busy.add(key)
        try:
            self._found[key] = self._resolver.find(self, key)
        finally:
            self._busy.discard(key)
        return self._found[key]

    def __iter__(self) -> Iterator[str]:
        return iter(property_names(self.subject))

    def __len__(self) -> int:
        return len(property_names(self.subject))

    def __contains__(self, key: object) -> bool:
        return key in property_names(self.subject)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __str__(self) -> str:
        raise ExpressionError(f"'{self.subject.name}' is a service; name one of its properties, e.g. ${{{self.subject.name}.url}}")


def property_names(subject: Subject) -> list[str]:
    """Return every name that a reference to *subject* may use, in the order in which they are shown."""
    address = ["host", "port", "ports"] if subject.ports else []
    names = [*address, *subject.kind.properties, *subject.parameters, *subject.several, "name", "bind", "prefix", "first"]
    names += ["public_url"] if subject.expose else []
    return list(dict.fromkeys([*names, "inside", "outside"]))


def _cut(name: str, longest: int) -> str:
    if len(name.encode()) <= longest:
        return name
    return name.encode()[: longest - 9].decode(errors="ignore") + "_" + hashlib.sha256(name.encode()).hexdigest()[:8]


def _from_url(url: str, machine: str | None) -> dict[str, Any]:
    """Return the properties that *url* contains. *machine* replaces a loopback host; None keeps it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if machine is not None and host in LOOPBACK:
        host = machine
        user, at, _ = parts.netloc.rpartition("@")
        parts = parts._replace(netloc=f"{user}{at}{host}" + (f":{parts.port}" if parts.port else ""))
    given: dict[str, Any] = {"url": urlunsplit(parts), "host": host, "port": parts.port or DEFAULT_PORTS.get(parts.scheme)}
    if parts.username is not None:
        given |= {"username": unquote(parts.username), "password": unquote(parts.password or "")}
    if parts.path.strip("/"):
        given["database"] = unquote(parts.path.strip("/"))
    return given


DEFAULT_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432, "mysql": 3306, "redis": 6379, "amqp": 5672, "nats": 4222}
