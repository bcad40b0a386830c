"""What a cluster wants of everything that is put into it: `[kubernetes]` of envctl.toml. A new key is one field here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from envctl.errors import UsageError
from envctl.plan.exposing import Exposure

_TAINT = re.compile(r"(?P<key>[\w./-]+)(=(?P<value>[\w.-]*))?(:(?P<effect>NoSchedule|PreferNoSchedule|NoExecute))?")
_PEER = re.compile(r"[a-z0-9-]+(:[0-9]{1,5})?|[0-9a-fA-F.:]+/[0-9]{1,3}")
USUAL_DNS = ("kube-system", "169.254.20.10/32", "openshift-dns:5353")
"""Where clusters answer: pods of the system, NodeLocal DNSCache on the node, which no selector of pods finds, and OpenShift's own."""


def _key(standard: type, example: str) -> Any:
    return field(default_factory=standard, metadata={"example": example})


@dataclass(frozen=True)
class Cluster:
    """The table's keys; the type of a key's default is its type, and what it holds are texts.

    Attributes:
        annotations: of every object; of a pod they win over ours.
        tolerations: as kubectl writes taints: KEY, KEY:EFFECT, KEY=VALUE or KEY=VALUE:EFFECT.
        pull_secrets_from: the namespace from which they are copied into that of an instance; without it, the context's.
        dns: what pods may ask for names, beside what clusters usually have: NAMESPACE, NAMESPACE:PORT, or a block of addresses.
        users: `namespace`: the cluster gives each pod a user of its namespace's range, as OpenShift does; no number is asked for.
    """

    labels: Mapping[str, str] = _key(dict, 'labels = {"team" = "shop"}')
    pull_secrets: Sequence[str] = _key(list, 'pull_secrets = ["registry-login"]')
    priority_class: str = _key(str, 'priority_class = "low"')
    quota: Mapping[str, str] = _key(dict, 'quota = {"requests.cpu" = "4"}')
    limits: Mapping[str, str] = _key(dict, 'limits = {"memory" = "2Gi"}')
    """What one container of a namespace may have at most."""
    annotations: Mapping[str, str] = _key(dict, 'annotations = {"cost-center" = "42"}')
    node_selector: Mapping[str, str] = _key(dict, 'node_selector = {"pool" = "tests"}')
    tolerations: Sequence[str] = _key(list, 'tolerations = ["dedicated=tests:NoSchedule", "spot"]')
    runtime_class: str = _key(str, 'runtime_class = "gvisor"')
    pull_secrets_from: str = _key(str, 'pull_secrets_from = "team"')
    dns: Sequence[str] = _key(list, 'dns = ["openshift-dns:5353", "169.254.20.10/32"]')
    users: str = _key(str, 'users = "namespace"')

    expose: Mapping[str, Any] = field(
        default_factory=dict, metadata={"example": 'expose = {domain = "previews.example.org"}', "shape": Exposure}
    )
    """A table of its own: how exposed services are reached."""
    role: str = _key(str, 'role = "envctl-system-instance"')
    """The ClusterRole that whoever makes a namespace gets in it, where he has no rights there yet."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Cluster:
        """Of a table that has been checked; what a later version has added is left out.

        Raises:
            UsageError: a toleration, a peer or the word for users is none.
        """
        found = cls(**{each.name: told[each.name] for each in fields(cls) if each.name in told})
        found.check()
        return found

    def check(self) -> None:
        for what, items, form, hint in (
            ("tolerations", self.tolerations, _TAINT, "KEY, KEY:EFFECT, KEY=VALUE or KEY=VALUE:EFFECT, as kubectl writes taints"),
            ("dns", self.dns, _PEER, "NAMESPACE, NAMESPACE:PORT, or a block of addresses (169.254.20.10/32)"),
            ("users", [self.users] if self.users else [], re.compile("namespace"), 'users = "namespace", or nothing'),
        ):
            wrong = next((item for item in items if not form.fullmatch(item) or (what == "dns" and "/" in item and not _block(item))), None)
            if wrong is not None:
                raise UsageError(f"[kubernetes] {what}: '{wrong}' is not of its form", hint=hint)

    @property
    def tolerated(self) -> list[dict[str, str]]:
        """As a pod has them."""
        found = [_TAINT.fullmatch(each) for each in self.tolerations]
        return [_toleration(each["key"], each["value"], each["effect"]) for each in found if each is not None]

    @property
    def dns_peers(self) -> list[dict[str, Any]]:
        """Rules of a NetworkPolicy for outgoing traffic, one for each port."""
        by_port: dict[int, list[dict[str, Any]]] = {}
        for each in dict.fromkeys([*USUAL_DNS, *self.dns]):
            if "/" in each:
                by_port.setdefault(53, []).append({"ipBlock": {"cidr": str(_block(each))}})
            else:
                namespace, _, port = each.partition(":")
                peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
                by_port.setdefault(int(port or 53), []).append(peer)
        return [
            {"to": peers, "ports": [{"protocol": protocol, "port": port} for protocol in ("UDP", "TCP")]} for port, peers in by_port.items()
        ]


STRANGERS: Mapping[str, Mapping[str, str]] = {
    "quota": {
        "pods": "40", "services": "60", "configmaps": "200", "secrets": "100", "count/jobs.batch": "40", "requests.cpu": "4",
        "limits.cpu": "40", "requests.memory": "6Gi", "limits.memory": "16Gi", "requests.ephemeral-storage": "20Gi",
        "persistentvolumeclaims": "0", "services.nodeports": "0", "services.loadbalancers": "0",
    },
    "limits": {"cpu": "4", "memory": "4Gi", "ephemeral-storage": "10Gi"},
}  # fmt: skip
"""What an instance of a stranger's definition may have of a cluster, where envctl.toml does not say it."""


def for_strangers(told: Mapping[str, Any]) -> dict[str, Any]:
    """The table *told* with an end to everything that it leaves open."""
    return {**STRANGERS, **told}


def _toleration(key: str, value: str | None, effect: str | None) -> dict[str, str]:
    found = {"key": key, "operator": "Exists"} if value is None else {"key": key, "operator": "Equal", "value": value}
    return found | ({"effect": effect} if effect else {})


def _block(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
