"""The settings of a cluster: `[kubernetes]` in envctl.toml, which applies to every instance there. To add a key, add a field."""

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
"""Where clusters run DNS servers: in system pods, in NodeLocal DNSCache on the node (no pod selector matches it), and on OpenShift."""


def _key(standard: type, example: str) -> Any:
    return field(default_factory=standard, metadata={"example": example})


@dataclass(frozen=True)
class Cluster:
    """The keys of the table. A key has the type of its default, and its items are texts.

    Attributes:
        annotations: annotations of every object; in a pod, they replace annotations of envctl with the same name.
        tolerations: taints in kubectl's form: KEY, KEY:EFFECT, KEY=VALUE or KEY=VALUE:EFFECT.
        pull_secrets_from: the namespace from which the pull secrets are copied into an instance's namespace; by default the context's.
        dns: more DNS servers that pods may use, besides the usual ones: NAMESPACE, NAMESPACE:PORT, or a block of addresses.
        users: `namespace` if the cluster assigns each pod a user from its namespace's range, as OpenShift does; pods then name no user.
    """

    labels: Mapping[str, str] = _key(dict, 'labels = {"team" = "shop"}')
    pull_secrets: Sequence[str] = _key(list, 'pull_secrets = ["registry-login"]')
    priority_class: str = _key(str, 'priority_class = "low"')
    quota: Mapping[str, str] = _key(dict, 'quota = {"requests.cpu" = "4"}')
    limits: Mapping[str, str] = _key(dict, 'limits = {"memory" = "2Gi"}')
    """The resource limits of one container in an instance's namespace."""
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
    """A nested table: how exposed services are reached."""
    role: str = _key(str, 'role = "envctl-system-instance"')
    """The ClusterRole that envctl binds in a new namespace for the user who created it, if the user has no rights there yet."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Cluster:
        """Return the settings in *told*, a table that has been checked. Keys that a later version added are ignored.

        Raises:
            UsageError: a toleration, a DNS peer or the value of `users` is malformed.
        """
        found = cls(**{each.name: told[each.name] for each in fields(cls) if each.name in told})
        found.check()
        return found

    def check(self) -> None:
        """Raise UsageError if a toleration, a DNS peer or the value of `users` is malformed."""
        for what, items, form, hint in (
            ("tolerations", self.tolerations, _TAINT, "KEY, KEY:EFFECT, KEY=VALUE or KEY=VALUE:EFFECT, as kubectl writes taints"),
            ("dns", self.dns, _PEER, "NAMESPACE, NAMESPACE:PORT, or a block of addresses (169.254.20.10/32)"),
            ("users", [self.users] if self.users else [], re.compile("namespace"), 'users = "namespace", or nothing'),
        ):
            wrong = next((item for item in items if not form.fullmatch(item) or (what == "dns" and "/" in item and not _block(item))), None)
            if wrong is not None:
                raise UsageError(f"[kubernetes] {what}: '{wrong}' does not have the right form", hint=hint)

    @property
    def tolerated(self) -> list[dict[str, str]]:
        """The tolerations in the form that a pod has them."""
        found = [_TAINT.fullmatch(each) for each in self.tolerations]
        return [_toleration(each["key"], each["value"], each["effect"]) for each in found if each is not None]

    @property
    def dns_peers(self) -> list[dict[str, Any]]:
        """The egress rules of a NetworkPolicy for DNS, one rule for each port."""
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
"""The quota and limits for instances of untrusted definitions, as far as envctl.toml sets no others."""


def for_strangers(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table *told* with a quota and limits for untrusted definitions, if it sets none."""
    return {**STRANGERS, **told}


def _toleration(key: str, value: str | None, effect: str | None) -> dict[str, str]:
    found = {"key": key, "operator": "Exists"} if value is None else {"key": key, "operator": "Equal", "value": value}
    return found | ({"effect": effect} if effect else {})


def _block(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
