"""Render the Kubernetes objects that a definition contains itself, with the instance's names and labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from envctl.plan.addressing import dns_label
from envctl.plan.model import Plan, ServicePlan
from envctl.render.kubernetes.rendering import Rendering
from envctl.render.kubernetes.templates import Object

NAMED: Mapping[str, str] = {
    "service": "Service", "backendRefs": "Service", "configMap": "ConfigMap", "configMapRef": "ConfigMap", "configMapKeyRef": "ConfigMap",
    "secretRef": "Secret", "secretKeyRef": "Secret",
}  # fmt: skip
"""Keys of references in the form `{key: {name: X}}`, each with the kind of object that it names. The map may also be in a list."""
PLAIN: Mapping[str, str] = {"secretName": "Secret", "claimName": "PersistentVolumeClaim", "serviceAccountName": "ServiceAccount"}
"""Keys of references in the form `{key: X}`, each with the kind of object that it names."""
Names = Mapping[tuple[str, str], str]
"""Pairs of a kind and a name in the definition, each with the object's name in the cluster."""


def names(plan: Plan) -> Names:
    """Return the cluster's names of services and of added objects. In a shared namespace they are unique for each instance."""
    found = {("Service", service.name): service.host for service in plan.services.values()}
    for item in (item for service in plan.services.values() for item in _list(service)):
        found[item["kind"], item["metadata"]["name"]] = _own_name(plan, str(item["metadata"]["name"]))
    return found


def _list(service: ServicePlan) -> Iterable[Object]:
    return service.kubernetes if isinstance(service.kubernetes, list) else ()


def _own_name(plan: Plan, name: str) -> str:
    return name if not plan.setting.shared or name.startswith(f"{plan.setting.id}-") else dns_label(plan.setting.id, name)


def added(rendering: Rendering, service: ServicePlan) -> tuple[Object, ...]:
    """Return the objects that *service* adds, in the instance's namespace and with its labels."""
    known = names(rendering.plan)
    return tuple(_added(rendering, service, item, known) for item in _list(service))


def _added(rendering: Rendering, service: ServicePlan, given: Object, known: Names) -> Object:
    own = rendering.metadata(known[given["kind"], given["metadata"]["name"]], service)
    meta = {**given["metadata"], "name": own["name"], "namespace": own["namespace"]}
    return {**renamed(given, known), "metadata": labelled(meta, own)}


def renamed(tree: Any, known: Names, key: str = "") -> Any:
    """Return *tree* with references to known objects changed to their names in the cluster."""
    if isinstance(tree, list):
        return [renamed(item, known, key) for item in tree]
    if not isinstance(tree, Mapping):
        return known.get((PLAIN[key], tree), tree) if key in PLAIN and isinstance(tree, str) else tree
    found = {inner: renamed(value, known, inner) for inner, value in tree.items()}
    if key in NAMED and isinstance(tree.get("name"), str):
        found["name"] = known.get((NAMED[key], tree["name"]), tree["name"])
    return found


def labelled(meta: Object, own: Object) -> Object:
    """Return *meta* with the labels of *own*, which replace labels with the same name."""
    return {**meta, "labels": {**(meta.get("labels") or {}), **own["labels"]}}
