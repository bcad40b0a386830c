"""The engine: one cluster, and the instances on it, found and removed by their labels."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envctl.engines.kubernetes.api import Api, ApiError, Ignoring, connect
from envctl.engines.kubernetes.contexts import approved, find_context
from envctl.engines.kubernetes.instance import KubernetesInstance, own_namespace
from envctl.engines.kubernetes.pods import state_of
from envctl.engines.kubernetes.traits import TRAITS
from envctl.engines.seam import DeploymentSettings, FoundInstance, PublishedRecord, Wanted
from envctl.errors import EnvctlError
from envctl.instance import labels
from envctl.instance.allocation import Allocation
from envctl.instance.record import Location
from envctl.keeper.cluster.pod_status import is_running
from envctl.keeper.cluster.protocol import Object, path_of
from envctl.plan.traits import Addresses
from envctl.process.threads import each
from envctl.session.session import Host

if TYPE_CHECKING:
    from envctl.engines.kubernetes.deployment import KubernetesDeployment
    from envctl.plan.model import Plan


KINDS = (
    ("apps/v1", "Deployment"), ("batch/v1", "Job"), ("v1", "Pod"), ("v1", "Service"), ("v1", "ConfigMap"),
    ("networking.k8s.io/v1", "NetworkPolicy"), ("networking.k8s.io/v1", "Ingress"), ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("v1", "ServiceAccount"), ("v1", "Secret"),
)  # fmt: skip
"""What an instance in somebody else's namespace is made of; the record's Secret goes last."""
PATIENCE = 300.0
STEP, PAUSE = 20.0, 0.3


def open_engine(location: Location, host: Host) -> KubernetesEngine:
    """
    Raises:
        EngineMissing: there is no such context, or its API server does not answer.
        UsageError: the context is not one to act on unasked.
    """
    context = find_context(approved(location.context, host.environ), host.environ)
    return KubernetesEngine(connect(context, host.environ), host, location.namespace)


@dataclass(frozen=True)
class KubernetesEngine:
    """One cluster; *namespace* is one of others' that the instances share."""

    api: Api
    host: Host
    namespace: str | None = None
    name: str = "kubernetes"

    def addresses(self) -> Addresses:
        return TRAITS.addresses

    def allocate(self, id: str, wanted: Wanted, kept: Allocation, taken: Collection[int], refused: Collection[str]) -> Allocation:
        """Ports of this machine: the keeper's forwards listen there."""
        from envctl.engines.free_ports import allocate_ports, free_here

        return Allocation(allocate_ports(wanted.ports, kept.ports, taken, free_here))

    def deployment(self, plan: Plan, settings: DeploymentSettings) -> KubernetesDeployment:
        from envctl.engines.kubernetes.deployment import KubernetesDeployment

        id, shared = plan.setting.id, self.namespace is not None
        return KubernetesDeployment(self.api, self.host, id, self.namespace or id, shared, plan=plan, settings=settings)

    def attach(self, id: str) -> KubernetesInstance:
        return KubernetesInstance(self.api, self.host, id, self.namespace or id, self.namespace is not None)

    def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
        if self.namespace is not None:
            return remove_objects(self.api, self.namespace, id, wait)
        return remove_namespace(self.api, id, id, wait)

    def list(self, id: str = "") -> Sequence[FoundInstance]:
        """By label: namespaces that are instances, and records in the namespace of others."""
        if self.namespace is not None:
            selector = f"{labels.RECORD}=true" + (f",{labels.INSTANCE}={id}" if id else "")
            records = self.api.list("v1", "Secret", self.namespace, selector)
            return [_found(item, self._pods(self.namespace, item)) for item in records]
        found = [own_namespace(self.api, id, id)] if id else self._namespaces()
        return [
            _found(item, self._pods(item["metadata"]["name"], item))
            for item in found
            if item and not item["metadata"].get("deletionTimestamp")
        ]

    def _namespaces(self) -> Sequence[Object]:
        try:
            return self.api.list("v1", "Namespace", None, labels.INSTANCE)
        except ApiError as error:
            hint = "an administrator can allow `list` on namespaces; `--namespace NS` looks into one, and `envctl down ID` needs no list"
            raise EnvctlError(f"{self.api.context.name}: {error.message}", hint=hint) from None

    def _pods(self, namespace: str, item: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
        id = item["metadata"]["labels"][labels.INSTANCE]
        with Ignoring(403, 404):
            return self.api.list("v1", "Pod", namespace, f"{labels.INSTANCE}={id},{labels.SERVICE}")
        return []

    def heard_of_owner(self, id: str, until: str) -> None:
        """An annotation of its namespace, whose version changes with it: a reaper that has looked before deletes nothing."""
        if own_namespace(self.api, id, id) is not None:
            change = {"metadata": {"annotations": {labels.ALIVE: until}}}
            with Ignoring(404):
                self.api.request("PATCH", path_of("v1", "Namespace", None, id), change, "application/merge-patch+json")

    def published(self, name: str, project: str) -> PublishedRecord | None:
        from envctl.engines.kubernetes.records import find_published

        return find_published(self.api, self.namespace, name, project)

    def connect(self, id: str, access: Any) -> Mapping[int, int]:
        """Port forwards at the same ports as on the other machine, but for those that somebody else has on this one."""
        from envctl.engines.kubernetes.forwards import at_free_ports, set_forwards

        forwards, moved = at_free_ports(access)
        set_forwards(self.host, id, self.api.context, self.namespace or id, forwards, whole=True)
        return moved


def _found(item: Mapping[str, Any], pods: Sequence[dict[str, Any]]) -> FoundInstance:
    meta = item["metadata"]
    told = {**(meta.get("annotations") or {}), **meta["labels"]}
    return FoundInstance.labelled(
        told[labels.INSTANCE],
        told,
        created=meta["creationTimestamp"],
        expires=told.get(labels.EXPIRES),
        running=sum(is_running(pod) for pod in pods),
        done=sum(state_of(pod).status == 0 for pod in pods),
        total=len(pods),
    )


def remove_namespace(api: Api, name: str, id: str, wait: bool = True) -> list[str]:
    """Deletes the namespace, which must carry the instance's label; what is left comes back.

    Raises:
        UsageError: it is not ours.
    """
    found = own_namespace(api, name, id)
    if found is None:
        return []
    api.delete("v1", "Namespace", None, name, uid=found["metadata"]["uid"])
    return [] if not wait or _gone(api, name) else [f"namespace {name}{_why_still_there(api, name)}"]


def _gone(api: Api, name: str) -> bool:
    """Watches until the namespace is deleted."""
    until = time.monotonic() + PATIENCE
    while (left := until - time.monotonic()) > 0:
        found = api.get("v1", "Namespace", None, name)
        if found is None:
            return True
        query = {"fieldSelector": f"metadata.name={name}", "resourceVersion": found["metadata"]["resourceVersion"]}
        step = min(left, STEP)
        try:
            events = api.watch(path_of("v1", "Namespace"), step, timeoutSeconds=str(int(step) + 1), **query)
            if any(event["type"] == "DELETED" for event in events):
                return True
        except Exception:  # also that it may be deleted and looked at, but not watched
            time.sleep(PAUSE)
    return False


def _why_still_there(api: Api, name: str) -> str:
    found = api.get("v1", "Namespace", None, name) or {}
    conditions = [each for each in found.get("status", {}).get("conditions") or [] if each.get("status") == "True"]
    told = [each["message"] for each in conditions if "Remaining" in each.get("type", "")]
    return f" ({'; '.join(told)})" if told else ""


def remove_objects(api: Api, namespace: str, id: str, wait: bool = True) -> list[str]:
    """Deletes what carries the instance's label in a namespace of others, and nothing else."""
    until = time.monotonic() + PATIENCE
    while left := _delete_all(api, namespace, id):
        if not wait:
            return []
        if time.monotonic() > until:
            return [f"{item['kind'].lower()} {item['metadata']['name']}" for item in left]
        time.sleep(PAUSE)
    return []


def _delete_all(api: Api, namespace: str, id: str) -> list[Object]:
    """One round; what was still there comes back."""
    found: list[Object] = []
    for version, kind in KINDS:
        items: list[Object] = []
        with Ignoring(404):
            items = api.list(version, kind, namespace, f"{labels.INSTANCE}={id}")
        fresh = [item for item in items if not item["metadata"].get("deletionTimestamp")]
        if kind == "Secret" and found:  # the record stays until everything else is gone: it is what `down` finds the rest by
            fresh = [item for item in fresh if labels.RECORD not in (item["metadata"].get("labels") or {})]
        each(lambda item: _quietly(api, version, kind, namespace, item), fresh)  # noqa: B023
        found += items
    return found


def _quietly(api: Api, version: str, kind: str, namespace: str, item: Object) -> None:
    try:
        api.delete(version, kind, namespace, item["metadata"]["name"])
    except ApiError as error:
        raise EnvctlError(f"{kind.lower()} {item['metadata']['name']} cannot be removed: {error.message}") from None
