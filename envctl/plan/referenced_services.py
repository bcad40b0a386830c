"""The services of an environment as references know them: ports, parameters, and what each declares several of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from envctl.definition.compose_networks import only_internal
from envctl.definition.kinds import Kind, items_of, parameters_of
from envctl.definition.models import Expose, Service
from envctl.environment import Environment
from envctl.plan.model import PortKey, Setting


class Subject(NamedTuple):
    """A service as references know it."""

    name: str
    kind: Kind
    ports: Mapping[str, int]
    parameters: Mapping[str, Any]
    """Texts, defaults and drawn credentials; not yet evaluated."""
    several: Mapping[str, Mapping[str, Mapping[str, Any]]]
    url: str | None = None
    """Where it runs already (`--use`)."""
    expose: Expose | bool | None = None
    drawn: bool = False
    """Credentials that nobody gave were drawn."""
    closed: bool = False
    """It is only in networks of a Compose file that are `internal`: nothing outside them reaches it."""

    @property
    def main_port(self) -> str | None:
        return next(iter(self.ports), None)

    @property
    def private(self) -> Sequence[str]:
        """What it listens on as a process of this machine, and nobody else is told of."""
        return self.kind.local.ports if self.kind.local else ()

    def published(self, port: str) -> str:
        """The port that stands for *port* outside: an advertised listener for the main one, where the kind has such."""
        return self.kind.outside_port if port == self.main_port and self.kind.outside_port else port


def private(port: str) -> str:
    """What a private port is called among the others: no port of a definition can have that name."""
    return f".{port}"


def published(environment: Environment, local: Collection[str] = ()) -> list[PortKey]:
    """Every port that gets a number outside, in the order of the definition; of *local* services their private ones too."""
    running = {name: subject for name, subject in subjects(environment).items() if not subject.url}
    return [(name, port) for name, subject in running.items() for port in _numbered(subject, name in local)]


def fixed_ports(environment: Environment, keys: Sequence[PortKey]) -> dict[PortKey, int]:
    """The numbers outside that `publish` gives: to the main port, or to ports by name."""
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
    """Each by its name; without a *setting*, credentials are not drawn."""
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
    if service.from_compose and kind.outside_port:  # its file says where its clients are sent on to
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
