"""The services that each lane has its own copy or unit of, and the names under which other services reach them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from envctl.definition.kinds import is_divided, items_of
from envctl.definition.models import Service
from envctl.environment import Environment
from envctl.plan.reading import refers


class Laned(NamedTuple):
    """A service that exists once per lane, or that is divided between lanes.

    Attributes:
        hosts: the names under which other services reach it.
        several: the key of the items that are divided, such as `databases`; empty if the service exists once per lane.
        items: the names of the divided items.
        own: whether the service exists once per lane.
        ref: its name in expressions; `self` in its own.
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
        """A reference to the lane's host. A service without ports has no `host`; its `name`, which is its host name, is used instead."""
        return f"${{{self.ref}.{'host' if self.ports else 'name'}}}"

    @property
    def url(self) -> str:
        """A reference to the lane's URL; to its host if the service has no port."""
        return f"${{{self.ref}.url}}" if self.ports else self.host

    def item(self, item: str, how: str = "") -> str:
        """Return a reference to the lane's name of *item*; *how* is a filter that is appended to the expression."""
        return f'${{{self.ref}.{self.several}["{item}"].name{how}}}'


Hosts = Mapping[str, Sequence[Laned]]
"""Host names in lower case, each with the services that it reaches."""


def all_laned(environment: Environment, own: Collection[str]) -> Iterator[Laned]:
    """Yield the services that exist once per lane, which are *own*, and the servers that are divided between lanes."""
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
    """Return the known port numbers on which *service* listens."""
    return [*{**environment.kinds[service.kind].ports, **service.ports}.values(), *([service.port] if service.port else [])]


def _aliases(service: Service) -> list[str]:
    networks = service.compose.get("networks")
    several = networks.values() if isinstance(networks, Mapping) else ()
    return [str(alias) for its in several if isinstance(its, Mapping) for alias in _listed(its.get("aliases"))]


def _listed(given: object) -> list[object]:
    """Return *given* if it is a list. It may have another type, because only Compose checks the `compose:` of a definition."""
    return given if isinstance(given, list) else []


def by_hosts(laned: Collection[Laned]) -> dict[str, list[Laned]]:
    """Return *laned* by host names, in lower case."""
    found: dict[str, list[Laned]] = {}
    for each in laned:
        for host in {host.lower() for host in each.hosts}:
            found.setdefault(host, []).append(each)
    return found


def seen_by(name: str, service: Service, laned: Mapping[str, Laned], hosts: Hosts) -> Hosts:
    """Return *hosts* with the names that only *service* has for other services (`links: ["db:pg"]`), and with itself as `self`."""
    changed = {name: laned[name]._replace(ref="self")} if name in laned else {}
    for link in _listed(service.compose.get("links")):
        other, _, alias = str(link).partition(":")
        if alias and other in laned:
            known = changed.get(other, laned[other])
            changed[other] = known._replace(hosts=[*known.hosts, alias])
    return {**hosts, **_merged(hosts, changed)} if changed else hosts


def _merged(hosts: Hosts, changed: Mapping[str, Laned]) -> dict[str, Sequence[Laned]]:
    """Return those entries of *hosts* that change because of *changed*."""
    found: dict[str, Sequence[Laned]] = {}
    for host, several in by_hosts(list(changed.values())).items():
        found[host] = [*(each for each in hosts.get(host, ()) if each.name not in changed), *several]
    return found


def shared_instead(environment: Environment, own: Collection[str], name: str) -> str:
    """Return the end of a hint: `scope: environment` for service *name*; empty if the service cannot be shared by all lanes."""
    divided = is_divided(environment.kinds[environment.definition.services[name].kind])
    if name not in own or divided or not uses_no_lane(environment, own, name):
        return ""
    return f"; or `scope: environment` for '{name}' makes all lanes share it"


def uses_no_lane(environment: Environment, own: Collection[str], name: str) -> bool:
    """Return whether service *name* uses nothing that each lane has its own copy of, so that all lanes could share it."""
    services, kinds = environment.definition.services, environment.kinds
    others = {other for other, its in services.items() if other in own or is_divided(kinds[its.kind])} - {name}
    return not others & set(services[name].needs) and not refers(services[name], others)
