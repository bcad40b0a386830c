"""What each lane has its own of, and under which names others reach it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from envctl.definition.kinds import is_divided, items_of
from envctl.definition.models import Service
from envctl.environment import Environment
from envctl.plan.reading import refers


class Laned(NamedTuple):
    """What each lane has its own of.

    Attributes:
        hosts: the names under which others reach it.
        several: what of it is divided; empty where there is one of it per lane.
        items: those of the divided, by their names.
        ref: what expressions call it; `self` in its own.
    """

    name: str
    hosts: Sequence[str]
    ports: Sequence[int]
    several: str = ""
    items: Sequence[str] = ()
    own: bool = True
    ref: str = ""

    @property
    def host(self) -> str:
        """A reference to its host of the lane; without a port there is no address, but its name is one for whoever knows the port."""
        return f"${{{self.ref}.{'host' if self.ports else 'name'}}}"

    @property
    def url(self) -> str:
        """A reference to its URL of the lane, or to what there is of it."""
        return f"${{{self.ref}.url}}" if self.ports else self.host

    def item(self, item: str, how: str = "") -> str:
        """A reference to the lane's name of *item*; *how* is what is done with it, as an expression writes it."""
        return f'${{{self.ref}.{self.several}["{item}"].name{how}}}'


Hosts = Mapping[str, Sequence[Laned]]
"""Who is reached under a name in lower case."""


def all_laned(environment: Environment, own: Collection[str]) -> Iterator[Laned]:
    """The services that are there once per lane, *own*, and those of which each lane has a part."""
    for name, service in environment.definition.services.items():
        kind, ports = environment.kinds[service.kind], ports_of(environment, service)
        aliases = _aliases(service)
        if name in own:
            yield Laned(name, [name, *aliases], ports, ref=name)
        elif is_divided(kind) and name not in environment.used:
            assert kind.unit is not None
            several = kind.unit.several
            items = items_of(kind, several, service.with_.get(several), name, environment.loaded.budget) if several else {}
            yield Laned(name, [name, *aliases], ports, several, list(items), own=False, ref=name)


def ports_of(environment: Environment, service: Service) -> list[int]:
    """The numbers on which *service* listens, as far as anybody says."""
    return [*{**environment.kinds[service.kind].ports, **service.ports}.values(), *([service.port] if service.port else [])]


def _aliases(service: Service) -> list[str]:
    networks = service.compose.get("networks")
    several = networks.values() if isinstance(networks, Mapping) else ()
    return [str(alias) for its in several if isinstance(its, Mapping) for alias in _listed(its.get("aliases"))]


def _listed(given: object) -> list[object]:
    """Of a definition's own `compose:`, which only Compose checks."""
    return given if isinstance(given, list) else []


def by_hosts(laned: Collection[Laned]) -> dict[str, list[Laned]]:
    """*laned* by the names under which they are reached, in lower case."""
    found: dict[str, list[Laned]] = {}
    for each in laned:
        for host in {host.lower() for host in each.hosts}:
            found.setdefault(host, []).append(each)
    return found


def seen_by(name: str, service: Service, laned: Mapping[str, Laned], hosts: Hosts) -> Hosts:
    """*hosts* with the names that *service* alone has for others (`links: ["db:pg"]`), and with itself as `self`."""
    changed = {name: laned[name]._replace(ref="self")} if name in laned else {}
    for link in _listed(service.compose.get("links")):
        other, _, alias = str(link).partition(":")
        if alias and other in laned:
            known = changed.get(other, laned[other])
            changed[other] = known._replace(hosts=[*known.hosts, alias])
    return {**hosts, **_merged(hosts, changed)} if changed else hosts


def _merged(hosts: Hosts, changed: Mapping[str, Laned]) -> dict[str, Sequence[Laned]]:
    """Those of *hosts* that *changed* has others for."""
    found: dict[str, Sequence[Laned]] = {}
    for host, several in by_hosts(list(changed.values())).items():
        found[host] = [*(each for each in hosts.get(host, ()) if each.name not in changed), *several]
    return found


def shared_instead(environment: Environment, own: Collection[str], name: str) -> str:
    """The other way out, for the end of a hint about the service *name*; empty where one for all lanes would be no better."""
    divided = is_divided(environment.kinds[environment.definition.services[name].kind])
    if name not in own or divided or not uses_no_lane(environment, own, name):
        return ""
    return f"; or `scope: environment` for '{name}' makes all lanes share it"


def uses_no_lane(environment: Environment, own: Collection[str], name: str) -> bool:
    """Whether the service *name* has nothing to do with others of which each lane has its own, so that it could be one for all."""
    services, kinds = environment.definition.services, environment.kinds
    others = {other for other, its in services.items() if other in own or is_divided(kinds[its.kind])} - {name}
    return not others & set(services[name].needs) and not refers(services[name], others)
