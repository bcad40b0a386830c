"""Addresses that a service has as they are, of what each lane has its own of: every lane would use the same.

In what a Compose file says they become references where there is no doubt: a URL that names the server and its database, or the two in
variables that belong together (`DB_HOST`, `DB_NAME`), and any address of a service that is there once per lane. The rest is a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import unquote

from envctl.definition.expressions import has_expression
from envctl.definition.kinds import is_divided, items_of
from envctl.definition.models import Service, expressible
from envctl.environment import Environment
from envctl.errors import Problem
from envctl.plan.reading import texts

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][\w+.:-]*://)(?P<user>[^/@\s]*@)?(?P<host>[\w.-]+)(?P<port>:\d+)?(?P<path>/[^?#\s,]*)?(?P<rest>[?#][^\s,]*)?"
)
_HOST = re.compile(r"(.*?)_?(?:HOST|HOSTNAME|SERVER|ADDR|ADDRESS)", re.IGNORECASE)
_DATABASE = ("DATABASE", "DB", "DBNAME", "NAME", "DB_NAME", "VHOST", "BUCKET")
_ADDRESS = re.compile(r"(?:HOST|HOSTNAME|SERVERS?|ADDR|ADDRESS|UR[LI]|ENDPOINT|BROKERS?)\d*$", re.IGNORECASE)
"""How variables end whose whole value may be the name of a server; `DB_SERVER_TYPE: mysql` is none."""
_AMQP, _DEFAULT = ("amqp://", "amqps://"), "/"
"""A URL of AMQP without a path means the virtual host `/`."""


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


def with_references(environment: Environment, own: Sequence[str]) -> tuple[Environment, list[Problem]]:
    """*environment* with references in the place of fixed addresses, and what cannot be told for sure."""
    laned, problems = list(_laned(environment, own)), list[Problem]()
    services = dict(environment.definition.services)
    for name in own:
        for each in laned if services[name].from_compose else [other for other in laned if other.name != name]:
            other = each._replace(ref="self" if each.name == name else each.name)
            services[name], left = _rewired(services[name], other)
            problems += _problems(environment, name, services[name], other, left)
    definition = environment.definition.model_copy(update={"services": services})
    return replace(environment, definition=definition, loaded=replace(environment.loaded, definition=definition)), problems


def _laned(environment: Environment, own: Sequence[str]) -> Iterator[Laned]:
    for name, service in environment.definition.services.items():
        kind = environment.kinds[service.kind]
        ports = list({**kind.ports, **service.ports}.values()) + ([service.port] if service.port else [])
        aliases = [alias for its in _networks(service).values() for alias in (its or {}).get("aliases") or ()]
        if name in own:
            yield Laned(name, [name, *aliases], ports)
        elif is_divided(kind) and name not in environment.used:
            assert kind.unit is not None
            several = kind.unit.several
            items = items_of(kind, several, service.with_.get(several), name, environment.loaded.budget) if several else {}
            yield Laned(name, [name, *aliases], ports, several, list(items), own=False)


def _networks(service: Service) -> Mapping[str, Mapping[str, Sequence[str]] | None]:
    given = service.compose.get("networks")
    return given if isinstance(given, Mapping) else {}


def _rewired(service: Service, other: Laned) -> tuple[Service, list[str]]:
    """*service* with references to *other*, and the variables that still have its address."""
    given = {key: value for key, value in service.env.items() if isinstance(value, str) and not has_expression(value)}
    named = [key for key, value in given.items() if _names(other, key, value)]
    if not (service.from_compose and expressible(other.name)):
        return service, named
    found = {key: _of_url(other, key, given[key]) or _of_host(other, key, given) for key in named}
    env = {**service.env, **{key: value for changes in found.values() for key, value in changes.items()}}
    needs = _needs(service, env, other)
    return service.model_copy(update={"env": env, "needs": needs}), [key for key, changes in found.items() if not changes]


def _of_url(other: Laned, key: str, value: str) -> dict[str, str]:
    url = _URL.fullmatch(value)
    if url is None or url["host"] not in other.hosts or (url["port"] and int(url["port"][1:]) not in other.ports):
        return {}
    before, port, rest = url["scheme"] + (url["user"] or ""), url["port"] or "", url["rest"] or ""
    if other.own:
        return {key: f"{before}${{{other.ref}.host}}{port}{url['path'] or ''}{rest}"}
    item = unquote((url["path"] or "")[1:]) or (_DEFAULT if url["scheme"] in _AMQP else "")
    return {key: f"{before}{url['host']}{port}/{_item(other, item, ' | urlencode')}{rest}"} if _is_plain(other, item) else {}


def _of_host(other: Laned, key: str, given: Mapping[str, str]) -> dict[str, str]:
    host, _, port = given[key].partition(":")
    if host not in other.hosts or (port and not (port.isdecimal() and int(port) in other.ports)):
        return {}
    if other.own:
        return {key: f"${{{other.ref}.host}}{f':{port}' if port else ''}"}
    beside = _database_beside(key, given)
    return {beside: _item(other, given[beside])} if beside and _is_plain(other, given[beside]) else {}


def _database_beside(key: str, given: Mapping[str, str]) -> str:
    """The variable with the database that belongs to the host in *key*; empty where it may be another one."""
    found = _HOST.fullmatch(key)
    wanted = {f"{found[1]}{between}{end}".upper() for end in _DATABASE for between in ("", "_")} if found else set()
    names = [name for name in given if name.upper() in wanted and name != key]
    return names[0] if len(names) == 1 else ""


def _is_plain(other: Laned, item: str) -> bool:
    return item in other.items and not set(item) & set('"\\${}')


def _item(other: Laned, item: str, how: str = "") -> str:
    return f'${{{other.ref}.{other.several}["{item}"].name{how}}}'


def _needs(service: Service, env: Mapping[str, object], other: Laned) -> dict[str, str]:
    """What is divided is there for a lane when it is seeded; nobody waits for more services than the file says."""
    needs: dict[str, str] = dict(service.needs)
    if other.ref == "self" or not any(f"${{{other.ref}." in text for text in texts(env)):
        return needs
    if not other.own and needs.get(other.name) != "none":
        needs[other.name] = "seeded"
    elif env != service.env:
        needs.setdefault(other.name, "none")
    return needs


def _problems(environment: Environment, name: str, service: Service, other: Laned, left: Sequence[str]) -> Iterator[Problem]:
    source = environment.loaded.source
    for key in left:
        message = f"{key} of '{name}' names '{other.name}', of which each lane has its own, by a fixed address"
        yield source.problem(("services", name, "env", key), message, _way(service, other, key))
    command = [service.compose.get(key) for key in ("command", "entrypoint")] if service.from_compose else [service.run, service.command]
    if other.name != name and any(not has_expression(text) and _names(other, "", text) for text in texts(command)):
        message = f"the command of '{name}' names '{other.name}', of which each lane has its own, by a fixed address"
        yield source.problem(("services", name), message, f"give it a variable with `${{{other.ref}.url}}`; or `scope: environment`")


def _names(other: Laned, key: str, value: str) -> bool:
    """Whether *value* has its address, as far as a text tells."""
    for host in map(re.escape, other.hosts):
        ports = "|".join(map(str, other.ports)) or "(?!)"
        spelled = rf"//(?:[^/@\s]*@)?{host}(?=[:/?#,\s]|$)|(?<![\w.@/-]){host}:(?:{ports})(?!\d)"
        pairs = rf"(?i:host|server|data source)\s*=\s*(?:tcp:)?{host}(?=[;,:\s]|$)"
        if re.search(f"{spelled}|{pairs}", value) or (re.fullmatch(host, value) and _ADDRESS.search(key)):
            return True
    return False


def _way(service: Service, other: Laned, key: str) -> str:
    right = f"{key}: ${{{other.ref}.url}}"
    if service.env[key] in other.hosts:
        item = f", and `{_item(other, other.items[0])}` where it names what it uses there" if other.items else ""
        right = f"{key}: ${{{other.ref}.host}}"
    else:
        item = ""
    where = "in a definition with `from:` this file, " if service.from_compose else ""
    return f"{where}`env: {{{right}}}`{item}; or `scope: environment` makes it one for all lanes"
