"""The engine for one cluster, on which instances are found and removed by their labels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envctl.engines.kubernetes.api import Api, ApiError, Ignoring, connect
from envctl.engines.kubernetes.contexts import approved
from envctl.engines.kubernetes.instance import KubernetesInstance, own_namespace
from envctl.engines.kubernetes.pods import state_of
from envctl.engines.kubernetes.records import heard_of_owner
from envctl.engines.kubernetes.removal import remove_namespace, remove_objects
from envctl.engines.kubernetes.traits import TRAITS
from envctl.engines.protocol import DeploymentSettings, FoundInstance, PublishedRecord, Wanted
from envctl.errors import EnvctlError
from envctl.instance import labels
from envctl.instance.allocation import Allocation
from envctl.instance.record import Location
from envctl.keeper.cluster.pod_status import is_running
from envctl.keeper.cluster.protocol import Object, path_of
from envctl.plan.traits import Addresses
from envctl.session.session import Host

if TYPE_CHECKING:
    from envctl.engines.kubernetes.deployment import KubernetesDeployment
    from envctl.plan.model import Plan


def open_engine(location: Location, host: Host) -> KubernetesEngine:
    """Return the engine for the context and the namespace of *location*.

    Raises:
        EngineMissing: the context does not exist, or its API server does not answer.
        UsageError: the user has not named the context, and it is not on this machine.
    """
    context = approved(location.context, host.environ)
    return KubernetesEngine(connect(context, host.environ), host, location.namespace)


@dataclass(frozen=True)
class KubernetesEngine:
    """One cluster. *namespace* is an existing namespace that the instances share; if it is None, each instance gets its own.

    `envctl.engines.protocol` documents the methods: those of `Engine` and of optional protocols.
    """

    api: Api
    host: Host
    namespace: str | None = None
    name: str = "kubernetes"

    def addresses(self) -> Addresses:
        return TRAITS.addresses

    def allocate(self, id: str, wanted: Wanted, kept: Allocation, taken: Collection[int], refused: Collection[str]) -> Allocation:
        """Return free ports of this machine, because the keeper's port forwards listen here."""
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
        """Return the instances: the namespaces with the label of an instance or, in a shared namespace, the records."""
        if self.namespace is not None:
            selector = f"{labels.RECORD}=true" + (f",{labels.INSTANCE}={id}" if id else "")
            return [self._found(item, self.namespace) for item in self.api.list("v1", "Secret", self.namespace, selector)]
        found = [own_namespace(self.api, id, id)] if id else self._namespaces()
        return [self._found(item, item["metadata"]["name"]) for item in found if item]

    def _namespaces(self) -> Sequence[Object]:
        try:
            return self.api.list("v1", "Namespace", None, labels.INSTANCE)
        except ApiError as error:
            hint = "an administrator can allow `list` on namespaces; `--namespace NS` looks into one, and `envctl down ID` needs no list"
            raise EnvctlError(f"{self.api.context.name}: {error.message}", hint=hint) from None

    def _found(self, item: Mapping[str, Any], namespace: str) -> FoundInstance:
        """Return an instance with the states of its pods. If the pods cannot be listed, include the reason (`unseen`)."""
        id, pods, unseen = item["metadata"]["labels"][labels.INSTANCE], [], ""
        try:
            pods = self.api.list("v1", "Pod", namespace, f"{labels.INSTANCE}={id},{labels.SERVICE}")
        except ApiError as error:
            unseen = f"{id}: {error.message}" if error.status != 404 else ""
        return _found(item, pods, unseen)

    def heard_of_owner(self, id: str, until: str) -> None:
        """Write the time until which the owner counts as alive to an annotation of the instance's namespace or record.

        This changes the version of the object, so that a reaper which has read an earlier version does not delete it.
        """
        if self.namespace is not None:
            heard_of_owner(self.api, self.namespace, id, until)
        elif own_namespace(self.api, id, id) is not None:
            change = {"metadata": {"annotations": {labels.ALIVE: until}}}
            with Ignoring(404):
                self.api.request("PATCH", path_of("v1", "Namespace", None, id), change, "application/merge-patch+json")

    def alone(
        self, id: str, worker: str, pause: Callable[[], None], lost: Callable[[EnvctlError], None], new: bool
    ) -> AbstractContextManager[PublishedRecord | None]:  # fmt: skip
        from envctl.engines.kubernetes.work_lock import alone, alone_from_the_start

        place = self.namespace or id
        return alone_from_the_start(self.api, place, id, worker, lost) if new else alone(self.api, place, id, worker, pause, lost)

    def published(self, name: str, project: str) -> PublishedRecord | None:
        from envctl.engines.kubernetes.records import find_published

        return find_published(self.api, self.namespace, name, project)

    def connect(self, id: str, access: Any) -> Mapping[int, int]:
        """Start port forwards at the same local ports as on the other machine; return taken ports with their replacements."""
        from envctl.engines.kubernetes.forwards import at_free_ports, set_forwards

        forwards, moved = at_free_ports(access)
        set_forwards(self.host, id, self.api.context, self.namespace or id, forwards, whole=True)
        return moved


def _found(item: Mapping[str, Any], pods: Sequence[Object], unseen: str) -> FoundInstance:
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
        unseen=unseen,
        ending=bool(meta.get("deletionTimestamp")),
    )
