"""The services of an environment as references see them: their ports, their parameters, and the items that they declare."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from envctl.definition.compose_networks import only_internal
from envctl.definition.kinds import Kind, items_of, parameters_of
from envctl.definition.models import Expose, Service
from envctl.environment import Environment
from envctl.plan.model import PortKey, Setting


class Subject(NamedTuple):
    """A service as references see it."""

    name: str
    kind: Kind
    ports: Mapping[str, int]
    parameters: Mapping[str, Any]
    """Texts, defaults and generated credentials; not evaluated yet."""
    several: Mapping[str, Mapping[str, Mapping[str, Any]]]
    url: str | None = None
    """The URL of a service that runs elsewhere (`--use`)."""
    expose: Expose | bool | None = None
    drawn: bool = False
    """Whether credentials were generated because the definition has none."""
    closed: bool = False
    """Whether all of the service's networks are `internal` networks of a Compose file, so that nothing outside them can reach it."""

    @property
    def main_port(self) -> str | None:
        """The name of the main port, which is the first one; None if the service has no port."""
        return next(iter(self.ports), None)

    @property
    def private(self) -> Sequence[str]:
        """The ports on which the service listens as a process on this machine, and that no other service gets."""
        return self.kind.local.ports if self.kind.local else ()

    def published(self, port: str) -> str:
        """Return the port that replaces *port* outside: for the main port, the advertised listener of the kind, if it has one."""
        return self.kind.outside_port if port == self.main_port and self.kind.outside_port else port


def private(port: str) -> str:
    """Return the name of a private port. No port of a definition can have it, because it begins with a dot."""
    return f".{port}"


def published(environment: Environment, local: Collection[str] = ()) -> list[PortKey]:
    """Return every port that gets a number outside, in the order of the definition; for *local* services also their private ports."""
    running = {name: subject for name, subject in subjects(environment).items() if not subject.url}
    return [(name, port) for name, subject in running.items() for port in _numbered(subject, name in local)]


def fixed_ports(environment: Environment, keys: Sequence[PortKey]) -> dict[PortKey, int]:
    """Return the outside numbers that `publish` sets, for the main port or for named ports."""
    found: dict[PortKey, int] = {}
    for name, service in environment.definition.services.items():
        own = [port for service_name, port in keys if service_name == name]
        given = service.publish if isinstance(service.publish, Mapping) else {own[0]: service.publish} if service.publish and own else {}
        found |= {(name, port): number for port, number in given.items() if port in own}
    return found


def _numbered(subject: Subject, local: bool) -> list[str]:
    ports = [port for port in subject.ports if subject.published(port) == port and not subject.closed]
    return ports + [private(port) for port in subject.private] if local else ports


def subjects(environment: Environment, setting: Setting | None = None) -> dict[str, Subject]:
    """Return the services by their names. Without *setting*, no credentials are generated."""
    return {
        name: _subject(name, service, environment.kinds[service.kind], setting, environment)
        for name, service in environment.definition.services.items()
    }


def _subject(name: str, service: Service, kind: Kind, setting: Setting | None, environment: Environment) -> Subject:
    parameters = parameters_of(kind, service.with_)
    drawn = False
    open_to_all = parameters.get("password") == ""
    for key, what in kind.credentials.items():
        if parameters.get(key) is None and setting is not None:
            parameters[key] = kind.nobody if open_to_all else setting.secret(name, what if key == what else key)
            drawn = not open_to_all
    if service.from_compose and kind.outside_port:  # the Compose file sets the address to which the server redirects its clients
        kind = kind.model_copy(update={"outside_port": ""})
    several = {key: items_of(kind, key, parameters.pop(key, None), name, environment.loaded.budget) for key in kind.several}
    when = {} if service.from_compose else kind.ports_when
    ports = {port: number for port, number in _ports(service, kind).items() if parameters.get(when.get(port, ""), True)}
    used, closed = environment.used.get(name), _closed(service, environment, setting)
    return Subject(name, kind, ports, parameters, several, used, service.expose, drawn, closed)


def _closed(service: Service, environment: Environment, setting: Setting | None) -> bool:
    known = setting.addresses.internal if setting is not None else ()
    return service.from_compose and only_internal(
        service.compose.get("networks") or (), environment.loaded.compose_extra.get("networks", {}), known
    )


def _ports(service: Service, kind: Kind) -> dict[str, int]:
    if service.from_compose:
        return dict(service.ports)
    ports = dict(kind.ports)
    if service.port is not None:
        main = next(iter(ports), "http" if kind.kind == "api" else "main")
        ports = {main: service.port, **{key: number for key, number in ports.items() if key != main}}
    return ports | service.ports
