"""Fixed addresses of services that each lane has its own copy or unit of: with a fixed address, all lanes would use the same one.

In a service of a Compose file, an address becomes a reference if its meaning is certain: a URL with the server and its database, two
variables that belong together (`DB_HOST`, `DB_NAME`), or any address of a service that exists once per lane. All others are problems.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from urllib.parse import unquote

from envctl.definition.expressions import has_expression
from envctl.definition.models import Service, expressible
from envctl.environment import Environment
from envctl.errors import Problem
from envctl.plan.reading import referred
from envctl.plan.transforms.laned import Hosts, Laned, all_laned, by_hosts, seen_by
from envctl.plan.transforms.named_hosts import named
from envctl.plan.transforms.refused_addresses import refused

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][\w+.:-]*://)(?P<user>[^/@\s]*@)?(?P<host>[\w.-]+)(?P<port>:\d+)?(?P<path>/[^?#\s,]*)?(?P<rest>[?#][^\s,]*)?"
)
_HOST = re.compile(r"(.*?)_?(?:HOST|HOSTNAME|SERVER|ADDR|ADDRESS)", re.IGNORECASE)
_DATABASE = ("DATABASE", "DB", "DBNAME", "NAME", "DB_NAME", "VHOST", "BUCKET")
_AMQP, _DEFAULT = ("amqp://", "amqps://"), "/"
"""The schemes of AMQP URLs, and the virtual host of an AMQP URL without a path."""


def with_references(environment: Environment, own: Collection[str]) -> tuple[Environment, list[Problem]]:
    """Return *environment* with references in place of fixed addresses, and the problems of addresses that cannot be replaced.

    The losses of the returned environment name the replaced variables.

    Args:
        own: the services that exist once per lane.
    """
    own = frozenset(own)
    laned = {each.name: each for each in all_laned(environment, own)}
    hosts = by_hosts(laned.values())
    services = dict(environment.definition.services)
    seen = {name: seen_by(name, service, laned, hosts) for name, service in services.items() if name not in environment.used}
    settled, losses = dict[str, frozenset[str]](), list[str]()
    for name in seen:
        if name in own and services[name].from_compose:
            given = services[name]
            services[name], settled[name] = _rewired(given, laned, seen[name])
            losses += _losses(name, given, services[name])
    environment = _with(environment, services, losses)
    return environment, [problem for name in seen for problem in refused(environment, own, name, seen[name], settled.get(name, ()))]


def _with(environment: Environment, services: dict[str, Service], losses: list[str]) -> Environment:
    definition = environment.definition.model_copy(update={"services": services})
    loaded = replace(environment.loaded, definition=definition, losses=[*environment.loaded.losses, *losses])
    return replace(environment, definition=definition, loaded=loaded)


def _losses(name: str, given: Service, found: Service) -> list[str]:
    keys = [key for key, value in found.env.items() if value != given.env.get(key)]
    return [f"{name}: with lanes, {', '.join(keys)} {'leads' if len(keys) == 1 else 'lead'} each lane to its own"] if keys else []


def _rewired(service: Service, laned: Mapping[str, Laned], hosts: Hosts) -> tuple[Service, frozenset[str]]:
    """Return *service* with references in place of fixed addresses, and the names of the variables that contain only such references."""
    given = {key: value for key, value in service.env.items() if isinstance(value, str) and not has_expression(value)}
    changes, settled, used = dict[str, str](), set[str](), set[str]()
    for key, value in given.items():
        others = named(value, hosts, key=key)
        other = others[0] if len(others) == 1 and expressible(others[0].name) else None
        if other and (found := _of_url(other, key, value) or _of_host(other, key, given)):
            changes |= found
            settled.add(key)
            used.add(other.name)
    env = {**service.env, **changes}
    needs = _needs(service, env, laned, used)
    if not changes and needs == service.needs:
        return service, frozenset()
    return service.model_copy(update={"env": env, "needs": needs}), frozenset(settled)


def _of_url(other: Laned, key: str, value: str) -> dict[str, str]:
    url = _URL.fullmatch(value)
    if url is None or url["host"] not in other.hosts or not _fits(other, (url["port"] or "")[1:]):
        return {}
    before, port, rest = url["scheme"] + (url["user"] or ""), url["port"] or "", url["rest"] or ""
    if other.own:
        return {key: f"{before}{other.host}{port}{url['path'] or ''}{rest}"}
    item = unquote((url["path"] or "")[1:]) or (_DEFAULT if url["scheme"] in _AMQP else "")
    return {key: f"{before}{url['host']}{port}/{other.item(item, ' | urlencode')}{rest}"} if _is_plain(other, item) else {}


def _of_host(other: Laned, key: str, given: Mapping[str, str]) -> dict[str, str]:
    host, _, port = given[key].partition(":")
    if host not in other.hosts or not _fits(other, port):
        return {}
    if other.own:
        return {key: f"{other.host}{f':{port}' if port else ''}"}
    beside = _database_beside(key, given)
    return {beside: other.item(given[beside])} if beside and _is_plain(other, given[beside]) else {}


def _fits(other: Laned, port: str) -> bool:
    """Return whether *port* may be a port of *other*. A Compose file need not list the ports of the team's own services."""
    return not port or (port.isdecimal() and (other.own or int(port) in other.ports))


def _database_beside(key: str, given: Mapping[str, str]) -> str:
    """Return the variable with the database that belongs to the host in *key*; empty if there is no such variable, or several."""
    found = _HOST.fullmatch(key)
    wanted = {f"{found[1]}{between}{end}".upper() for end in _DATABASE for between in ("", "_")} if found else set()
    names = [name for name in given if name.upper() in wanted and name != key]
    return names[0] if len(names) == 1 else ""


def _is_plain(other: Laned, item: str) -> bool:
    return item in other.items and not set(item) & set('"\\${}')


def _needs(service: Service, env: Mapping[str, object], laned: Mapping[str, Laned], used: Collection[str]) -> dict[str, str]:
    """Return the conditions for which *service* waits: divided servers must be seeded, and services new to it are not waited for.

    Args:
        used: the services to which *service* has new references.
    """
    needs: dict[str, str] = dict(service.needs)
    for name in dict.fromkeys(reference.root for reference in referred(env, laned)):
        if not laned[name].own and needs.get(name) != "none":
            needs[name] = "seeded"
        elif name in used:
            needs.setdefault(name, "none")
    return needs
