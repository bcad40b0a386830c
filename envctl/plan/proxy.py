"""A small web server in front of exposed services, on engines without such a server. It selects the service by the requested host."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from typing import Any, NamedTuple, cast

from envctl.definition.kinds import Kind, load_kinds
from envctl.definition.models import Expose, Service
from envctl.environment import Environment
from envctl.environment.lanes import lane_name
from envctl.plan.addressing import LOOPBACK, Addressing, Viewpoint, dns_label
from envctl.plan.exposing import Exposed, check_user, exposed
from envctl.plan.model import PortKey, Setting
from envctl.plan.referenced_services import Subject, subjects
from envctl.plan.traits import EngineTraits

PROXY = "envctl-proxy"
"""The name of the proxy; no service of a definition can have it."""
PROXY_PORT: PortKey = (PROXY, "http")
KIND = "web"
DOMAIN = "localhost"
"""The default domain: browsers resolve all names below it to this machine, without DNS (RFC 6761)."""
DOCKERS_DNS = "127.0.0.11"


class Behind(NamedTuple):
    """One exposed service, as the proxy knows it."""

    name: str
    exposed: Exposed
    url: str


def stands_behind(environment: Environment, engine: EngineTraits) -> list[str]:
    """Return the services that need a proxy; none if the engine exposes services in another way."""
    if not engine.proxies:
        return []
    return [name for name, service in environment.definition.services.items() if service.expose and name not in environment.used]


def exposed_by(addressing: Addressing, subject: Subject) -> Exposed | None:
    """Return the URL of *subject*; None if it is only reached at its published port.

    Raises:
        ValueError: the service does not have the port.
    """
    setting, label = addressing.setting, dns_label(subject.name, addressing.setting.id)
    given = _in_its_lane(subject.expose, addressing.lanes.number(subject.name))
    if setting.engine.shares_namespaces:
        return exposed(given, subject.ports, label, setting.expose)
    if not setting.engine.proxies:
        return None
    # Names below `localhost` always mean this machine: a daemon on another machine needs a domain of its own.
    standard = DOMAIN if setting.addresses.outside_host == LOOPBACK else ""
    there = replace(setting.expose, domain=setting.expose.domain or standard)
    return exposed(given, subject.ports, label, there, setting.allocation.ports.get(PROXY_PORT, 0))


def _in_its_lane(given: Expose | bool | None, lane: int) -> Expose | bool | None:
    """Return *given* with the lane's number in its host, since a host in the definition belongs to the first lane."""
    if lane < 2 or not isinstance(given, Expose) or given.host is None:
        return given
    first, dot, rest = given.host.partition(".")
    return given.model_copy(update={"host": f"{lane_name(first, lane)}{dot}{rest}"})


def with_proxy(environment: Environment, setting: Setting) -> Environment:
    """Return *environment* with the proxy as a service; unchanged if nothing is exposed, or if the engine exposes services in another way.

    Raises:
        UsageError: `basic_auth` in `[docker.expose]` is not a valid user name.
    """
    names = stands_behind(environment, setting.engine)
    if not names:
        return environment
    services = environment.definition.services
    check_user(setting.expose.basic_auth, "[docker.expose] of envctl.toml")
    found = list(_behind(environment, setting, names))
    service = Service.model_validate({"kind": PROXY, "with": _parameters(setting, found), "needs": dict.fromkeys(names, "seeded")})
    # The built-in kind, since the project may have another kind of that name.
    kinds = ChainMap({PROXY: load_kinds()[KIND]}, cast("MutableMapping[str, Kind]", environment.kinds))
    definition = environment.definition.model_copy(update={"services": {**services, PROXY: service}})
    return replace(environment, definition=definition, kinds=kinds, loaded=replace(environment.loaded, definition=definition))


def _behind(environment: Environment, setting: Setting, names: list[str]) -> Iterator[Behind]:
    addressing, known = Addressing(setting, lanes=environment.lanes), subjects(environment)
    for name in names:
        try:
            found = exposed_by(addressing, known[name])
        except ValueError:
            continue  # reported when the service itself is planned
        if found is not None:
            yield Behind(name, found, _url(addressing, known[name], found))


def _url(addressing: Addressing, subject: Subject, found: Exposed) -> str:
    port = next(name for name, number in subject.ports.items() if number == found.port)
    host, number = addressing.address(subject, port, Viewpoint("inside", PROXY))
    setting = addressing.setting
    if addressing.is_process(subject.name) and not setting.engine.runs_processes:
        host = setting.allocation.gateway or "host.docker.internal"  # nginx does not read /etc/hosts
    return f"http://{host}:{number}"


def _parameters(setting: Setting, found: list[Behind]) -> dict[str, Any]:
    hosts: dict[str, dict[str, str]] = {}
    for each in found:
        hosts.setdefault(each.exposed.host, {})[each.exposed.path] = each.url
    user = setting.expose.basic_auth
    users = {user: setting.secret(PROXY, "basic-auth")} if user else {}
    # Without a resolver, nginx would keep the address of a container that has been replaced.
    return {"hosts": hosts, "users": users, "resolver": "" if setting.engine.runs_processes else DOCKERS_DNS}
