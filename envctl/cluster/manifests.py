"""The objects of `envctl cluster install`, from templates/kubernetes/cluster/: for envctl's own namespace and for those of teams."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from envctl.errors import UsageError
from envctl.files.package_data import templates

Object = dict[str, Any]
NAMESPACE, TEAM = "envctl-system", "team-tests"
"""The names of namespaces in the templates, which are replaced by the real ones."""
PARTS = ("admission", "provisioner", "reaper")
"""The templates for the whole cluster, in the order in which they are applied: policies before the rights that they limit."""
TEAM_PARTS = ("namespace-role", "namespace-reaper")
"""The templates for the namespace of a team; an administrator of this namespace may apply them."""
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
OURS = {"app.kubernetes.io/managed-by": "envctl", "app.kubernetes.io/part-of": "envctl"}


def cluster_objects(namespace: str = NAMESPACE, teams: Sequence[str] = (), teams_only: bool = False) -> list[Object]:
    """Return all objects, in an order in which they can be applied.

    Args:
        teams_only: whether to return only the objects in the namespaces of *teams*.

    Raises:
        UsageError: a name is not a valid name for a namespace.
    """
    for name in (namespace, *teams):
        if not _LABEL.fullmatch(name):
            raise UsageError(f"'{name}' is not a valid name of a namespace", hint="lower-case letters, digits and hyphens, at most 40")
    found: list[Object] = []
    if not teams_only:
        found = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": dict(RESTRICTED)}}]
        found += [item for part in PARTS for item in _read(part, NAMESPACE, namespace)]
    found += [item for team in teams for part in TEAM_PARTS for item in _read(part, TEAM, team)]
    return [_labelled(item) for item in found]


def _read(part: str, name: str, other: str) -> Iterator[Object]:
    text = templates("kubernetes", "cluster", f"{part}.yaml").read_text().replace(name, other)
    for item in yaml.safe_load_all(text):
        if item["kind"] == "ConfigMap":
            item["data"] = {"reaper.py": templates("kubernetes", "cluster", "reaper.py").read_text()}
        yield item


def _labelled(item: Object) -> Object:
    meta = item["metadata"]
    return {**item, "metadata": {**meta, "labels": {**(meta.get("labels") or {}), **OURS}}}
