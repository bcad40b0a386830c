"""A check of a service's `kubernetes:`, which may change the service's own workload or add objects, but not replace the workload."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from envctl.definition.models import Service
from envctl.definition.source import Source, TreePath, value_at
from envctl.errors import Problem, did_you_mean

_TEMPLATE: TreePath = ("spec", "template")
_POD: TreePath = (*_TEMPLATE, "spec")
_NEEDED: tuple[TreePath, ...] = (("metadata",), ("spec",), _TEMPLATE, (*_TEMPLATE, "metadata"), _POD, ("spec", "selector"))
_MAPS: tuple[TreePath, ...] = (
    *_NEEDED,
    *((*at, key) for at in (("metadata",), (*_TEMPLATE, "metadata")) for key in ("labels", "annotations")),
    *((*_POD, key) for key in ("securityContext", "nodeSelector", "affinity", "dnsConfig")),
)
_CONTAINERS: tuple[TreePath, ...] = ((*_POD, "containers"), (*_POD, "initContainers"))
_LISTS: tuple[TreePath, ...] = (
    *_CONTAINERS,
    *((*_POD, key) for key in ("volumes", "tolerations", "imagePullSecrets", "hostAliases", "topologySpreadConstraints")),
)
_IDENTITY: tuple[TreePath, ...] = (
    ("apiVersion",),
    ("kind",),
    ("metadata", "name"),
    ("metadata", "namespace"),
    ("metadata", "generateName"),
)
OF_THE_CLUSTER = frozenset([
    "APIService", "CertificateSigningRequest", "ClusterRole", "ClusterRoleBinding", "CSIDriver", "CSINode", "CustomResourceDefinition",
    "FlowSchema", "IngressClass", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration", "Namespace",
    "Node", "PersistentVolume", "PriorityClass", "PriorityLevelConfiguration", "RuntimeClass", "StorageClass", "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration", "VolumeAttachment",
])  # fmt: skip
"""Kinds of objects that belong to no namespace: such an object would belong to the whole cluster, not to one instance."""
OURS = "envctl"
_RECORD = re.compile(r".*-[0-9a-f]{6}-instance")


def check_fragment(service: Service, source: Source, at: TreePath) -> Iterator[Problem]:
    """Yield the mistakes in the `kubernetes:` of *service*, which is at the path *at* of the definition."""
    given = service.kubernetes
    if isinstance(given, Mapping):
        yield from _of_workload(given, source, at)
        return
    seen: list[tuple[object, object]] = []
    for index, item in enumerate(given):
        yield from _of_object(item, source, (*at, index))
        key = (value_at(item, ("kind",)), value_at(item, ("metadata", "name")))
        if key in seen and all(map(_is_text, key)):
            yield source.problem((*at, index), f"the {key[0]} {key[1]} occurs twice")
        seen.append(key)


def _of_workload(given: Mapping[str, Any], source: Source, at: TreePath) -> Iterator[Problem]:
    for path in _IDENTITY:
        if _is_there(given, path):
            hint = "a list under `kubernetes:` adds separate objects"
            yield source.problem((*at, *path), f"`{'.'.join(map(str, path))}` would make another object of it; remove it", hint)
    for key in given:
        if (key,) not in (("metadata",), ("spec",), *_IDENTITY):
            yield source.problem((*at, key), f"a workload has no '{key}'", did_you_mean(key, ["metadata", "spec"]))
    for what, type_, paths in (("map", Mapping, _MAPS), ("list", list, _LISTS)):
        for path in paths:
            value = value_at(given, path)
            if _is_there(given, path) and not isinstance(value, type_) and (value is not None or path in (*_NEEDED, _CONTAINERS[0])):
                yield source.problem((*at, *path), f"expected a {what}")
    for path in _CONTAINERS:
        containers = value_at(given, path)
        for index, item in enumerate(containers if isinstance(containers, list) else ()):
            if not _is_text(value_at(item, ("name",))):
                yield source.problem((*at, *path, index), "expected a container, a map with its `name`")


def _of_object(item: object, source: Source, at: TreePath) -> Iterator[Problem]:
    name, kind = value_at(item, ("metadata", "name")), value_at(item, ("kind",))
    if not (_is_text(value_at(item, ("apiVersion",))) and _is_text(kind) and _is_text(name)):
        yield source.problem(at, "expected an object: a map with `apiVersion`, `kind` and `metadata` with a `name`")
        return
    for key in ("labels", "annotations"):
        if not isinstance(value_at(item, ("metadata", key)), Mapping | None):
            yield source.problem((*at, "metadata", key), "expected a map")
    if _is_there(item, ("metadata", "namespace")):
        yield source.problem((*at, "metadata", "namespace"), "it is created in the instance's own namespace; remove `namespace`")
    if kind in OF_THE_CLUSTER:
        yield source.problem(
            (*at, "kind"), f"a {kind} belongs to the whole cluster, and no instance can have its own", "create it in another way"
        )
    if str(name).startswith(OURS):
        yield source.problem((*at, "metadata", "name"), f"names that begin with `{OURS}` are envctl's own", "choose another name")
    if kind == "Secret" and _RECORD.fullmatch(str(name)):
        yield source.problem((*at, "metadata", "name"), "the record of an instance has such a name", "choose another name")


def _is_there(tree: object, path: TreePath) -> bool:
    around = value_at(tree, path[:-1])
    return isinstance(around, Mapping) and path[-1] in around


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""
