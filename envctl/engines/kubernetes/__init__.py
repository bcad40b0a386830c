"""The Kubernetes engine: the rendered manifests, applied service by service into a namespace of the instance's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envctl.engines import Addresses, FoundInstance
from envctl.engines.kubernetes.api import Api, ApiError, connect
from envctl.engines.kubernetes.contexts import approved, find_context
from envctl.engines.kubernetes.instance import KubernetesInstance
from envctl.engines.kubernetes.pods import state_of
from envctl.engines.kubernetes.records import EXPIRES
from envctl.keeper.cluster.pod_status import is_running

if TYPE_CHECKING:
    from envctl.engines.kubernetes.project import KubernetesDeployment
    from envctl.plan.model import Plan, PortKey

NO_ROUTE = "tests.envctl.invalid"
"""The name of the tests' machine, which no pod can reach; RFC 2606 has it lead nowhere."""


@dataclass(frozen=True)
class KubernetesEngine:
    """One cluster; *namespace* is one of others' that the instances share."""

    api: Api
    namespace: str | None = None
    name: str = "kubernetes"

    def addresses(self) -> Addresses:
        return Addresses(tester_host=NO_ROUTE)

    def free_ports(self, wanted: Mapping[PortKey, int], taken: Iterable[int]) -> Mapping[PortKey, int]:
        """Of this machine: the keeper's forwards listen there."""
        from envctl.engines.common.ports import free_ports

        return free_ports(wanted, taken, probe=True)

    def free_subnet(self, id: str, size: int, refused: Iterable[str]) -> str | None:
        return None

    def deployment(self, plan: Plan, folder: Path) -> KubernetesDeployment:
        from envctl.engines.kubernetes.project import KubernetesDeployment
        from envctl.engines.kubernetes.tailoring import options_of

        place = self._place(plan.setting.id)
        options = options_of(plan, place)
        return KubernetesDeployment(self.api, plan.setting.id, place, self.namespace is not None, plan=plan, folder=folder, options=options)

    def _place(self, id: str) -> str:
        return self.namespace or id

    def attach(self, id: str) -> KubernetesInstance:
        return KubernetesInstance(self.api, id, self._place(id), self.namespace is not None)

    def remove(self, id: str, stop: Mapping[str, float], wait: bool = True) -> Sequence[str]:
        from envctl.engines.kubernetes.removal import remove_namespace, remove_objects

        if self.namespace is not None:
            return remove_objects(self.api, self.namespace, id, wait)
        return remove_namespace(self.api, id, id, wait)

    def prune_images(self, all: bool) -> Sequence[str]:
        return []

    def list(self) -> Sequence[FoundInstance]:
        """By label: namespaces that are instances, and records in the namespace of others."""
        if self.namespace is not None:
            return [_seen(item, self._pods(self.namespace, item)) for item in self._records(self.namespace)]
        try:
            found = self.api.list("v1", "Namespace", None, "envctl.instance")
        except ApiError as error:
            if error.status == 403:
                return []
            raise
        return [_seen(item, self._pods(item["metadata"]["name"], item)) for item in found if not item["metadata"].get("deletionTimestamp")]

    def _records(self, namespace: str) -> Sequence[dict[str, Any]]:
        from envctl.engines.kubernetes.records import KIND

        return self.api.list("v1", "Secret", namespace, f"{KIND}=true")

    def _pods(self, namespace: str, item: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
        try:
            return self.api.list("v1", "Pod", namespace, f"envctl.instance={item['metadata']['labels']['envctl.instance']},envctl.service")
        except ApiError as error:
            if error.status in (403, 404):
                return []
            raise


def _seen(item: Mapping[str, Any], pods: Sequence[dict[str, Any]]) -> FoundInstance:
    meta = item["metadata"]
    labels, told = meta.get("labels") or {}, meta.get("annotations") or {}
    return FoundInstance(
        id=labels["envctl.instance"],
        name=labels.get("envctl.name", labels["envctl.instance"]),
        environment=told.get("envctl.environment", ""),
        project=told.get("envctl.project", ""),
        owner=told.get("envctl.owner", ""),
        created=meta["creationTimestamp"],
        expires=told.get(EXPIRES),
        running=sum(is_running(pod) for pod in pods),
        done=sum(state_of(pod).status == 0 for pod in pods),
        total=len(pods),
    )


def open_engine(context: str | None, namespace: str | None = None) -> KubernetesEngine:
    """
    Raises:
        EngineMissing: there is no such context, or its API server does not answer.
        UsageError: the context is not one to act on unasked.
    """
    return KubernetesEngine(connect(find_context(approved(context))), namespace)


__all__ = ["KubernetesEngine", "open_engine"]
