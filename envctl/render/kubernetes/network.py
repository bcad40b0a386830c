"""Render the NetworkPolicies: all traffic is denied, except DNS and the connections that references need."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Any
from urllib.parse import urlsplit

from envctl.definition.expressions import references
from envctl.instance.labels import NETWORK
from envctl.plan.model import Plan, ServicePlan
from envctl.plan.views import DEFAULT_PORTS, LOOPBACK
from envctl.render.kubernetes import exposing
from envctl.render.kubernetes.pods import numbers
from envctl.render.kubernetes.rendering import Rendering, common_name, label_value, selector
from envctl.render.kubernetes.templates import Object
from envctl.render.kubernetes.workload import DONE_PORT, listens_when_done


def readers(plan: Plan) -> dict[str, frozenset[str]]:
    """Return, for each service, the services that may connect to it.

    A connection is allowed for each reference, for each need, and for seed steps that run in the place of another service.
    """
    found: dict[str, set[str]] = {name: set() for name in plan.services}
    for reader, target in _pairs(plan):
        if target in found and reader in found:
            found[target].add(reader)
    return {name: frozenset(names) for name, names in found.items()}


def _pairs(plan: Plan) -> Iterator[tuple[str, str]]:
    names = list(plan.services)
    # Services of a Compose file can reach each other without a reference.
    yield from permutations([service.name for service in plan.services.values() if service.from_compose], 2)
    for service in plan.services.values():
        yield from ((service.name, other) for other in (*service.needs, *service.refers))
        if service.advertised:  # clients in its own pod use the advertised address too
            yield service.name, service.name
        for step in service.steps:
            where = step.step.runs_in if step.step.runs_in and step.step.runs_in in plan.services else service.name
            words = [step.step.command] if isinstance(step.step.command, str) else step.step.command or []
            named = [ref.root for word in words for ref in references(word, names)]
            yield from ((where, other) for other in (service.name, *step.needs, *named) if where != service.name or other != where)


def common(rendering: Rendering) -> Iterator[Object]:
    """Yield the policies of the instance: deny all traffic, and allow DNS."""
    plan, everybody = rendering.plan, selector(rendering.plan)
    yield _policy(rendering, common_name(plan, "deny"), everybody, types=["Ingress", "Egress"])
    yield _policy(rendering, common_name(plan, "dns"), everybody, types=["Egress"], egress=rendering.options.cluster.dns_peers)


def policies(rendering: Rendering, service: ServicePlan) -> Iterator[Object]:
    """Yield the policy of *service*: which services may connect to it, and where it may connect to."""
    ingress, egress = list(_ingress(rendering, service)), list(_egress(rendering, service))
    if ingress or egress:
        types = [*(["Ingress"] if ingress else []), *(["Egress"] if egress else [])]
        own = _network(rendering, service.name)
        yield _policy(rendering, service.host, own, service, types=types, ingress=ingress, egress=egress)


def _policy(
    rendering: Rendering, name: str, selected: Mapping[str, str], service: ServicePlan | None = None, *, types: list[str], **rules: Any
) -> Object:
    values = {"ingress": [], "egress": [], **rules}
    return rendering.templates.render("networkpolicy", metadata=rendering.metadata(name, service), selector=selected, types=types, **values)


def _network(rendering: Rendering, service: str) -> dict[str, str]:
    return {**selector(rendering.plan), NETWORK: label_value(service)}


def _ingress(rendering: Rendering, service: ServicePlan) -> Iterator[Object]:
    peers = [{"podSelector": {"matchLabels": _network(rendering, name)}} for name in sorted(rendering.access[service.name])]
    ports = _ports(rendering, service)
    if peers and ports is not None:
        yield {"from": peers, **ports}
    yield from exposing.peer(rendering, service)


def _egress(rendering: Rendering, service: ServicePlan) -> Iterator[Object]:
    for name in sorted(name for name, readers in rendering.access.items() if service.name in readers):
        ports = _ports(rendering, rendering.plan.services[name])
        if ports is not None:
            yield {"to": [{"podSelector": {"matchLabels": _network(rendering, name)}}], **ports}
    for name in sorted(service.refers & set(rendering.plan.used)):
        if rule := _outside(rendering.plan.used[name]):
            yield rule


def _ports(rendering: Rendering, service: ServicePlan) -> Object | None:
    """Return the ports of *service* for a rule; None if it listens on no port.

    For a service of a Compose file, the rule allows all ports, because the file names only the published ones.
    """
    if service.from_compose:
        return {}
    found = [*numbers(service), *([DONE_PORT] if listens_when_done(rendering, service) else [])]
    return {"ports": [{"protocol": "TCP", "port": number} for number in found]} if found else None


def _outside(url: str) -> Object | None:
    """Return a rule for a server that runs outside the instance; None if the server is on the loopback interface or has no port.

    If the URL has a host name instead of an address, the rule allows its port on every host, because policies cannot contain names.
    """
    parts = urlsplit(url)
    port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    if port is None or parts.hostname in LOOPBACK:
        return None
    rule: Object = {"ports": [{"protocol": "TCP", "port": port}]}
    try:
        address = ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return rule
    return {"to": [{"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}}], **rule}
