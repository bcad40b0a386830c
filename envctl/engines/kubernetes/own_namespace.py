"""The namespace of one instance: only one machine creates it, pull secrets are copied into it, and its removal is noticed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from envctl.engines.kubernetes.api import ApiError, Ignoring
from envctl.engines.kubernetes.instance import own_namespace
from envctl.engines.kubernetes.objects import InstanceObjects
from envctl.engines.kubernetes.records import maker_of, refuse_others
from envctl.engines.kubernetes.removal import gone
from envctl.engines.protocol import OWNER_LASTS, DeploymentSettings
from envctl.errors import EnvctlError
from envctl.instance.labels import ALIVE, MADE
from envctl.instance.record import now
from envctl.keeper.cluster.pod_status import alive
from envctl.keeper.cluster.protocol import Object
from envctl.process.threads import each
from envctl.render.kubernetes_settings import Cluster

USER_RANGE = "openshift.io/sa.scc.uid-range"
"""The annotation of a namespace with the range from which each pod gets its user id."""
COPIED = ("app.kubernetes.io/managed-by", "app.kubernetes.io/part-of")
"""The labels of a copied pull secret. It lacks the instance's label, with which a later `up` would remove it: no plan contains it."""
PODLESS = 3.0
"""The seconds that a service may have no pod before the namespace is checked for removal."""


def has_user_range(namespace: Object) -> bool:
    """Return whether the cluster chooses the user ids of the pods in this namespace."""
    return USER_RANGE in (namespace["metadata"].get("annotations") or {})


@dataclass
class OwnNamespace:
    """A namespace that contains one instance and nothing else.

    Attributes:
        owner: the mark of the process that owns the instance; empty if it has no owner.
    """

    objects: InstanceObjects
    settings: DeploymentSettings
    owner: str
    _podless: dict[str, float] = field(default_factory=dict)
    """Service to the time, in monotonic seconds, since which it has no pod or at which the namespace was last checked."""

    def __post_init__(self) -> None:
        self.api, self.name, self.id = self.objects.api, self.objects.namespace, self.objects.id

    def exists(self) -> bool:
        """Return whether the namespace exists; if it is being removed, wait until it is gone first.

        Raises:
            UsageError: the namespace does not belong to this instance.
            EnvctlError: the namespace is still being removed after the wait.
        """
        found = own_namespace(self.api, self.name, self.id)
        if found is None or not found["metadata"].get("deletionTimestamp"):
            return found is not None
        if not gone(self.api, self.name, found["metadata"]["uid"]):
            raise EnvctlError(f"the namespace {self.name} is still being removed", hint="`envctl down` says what keeps it")
        return False

    def make(self, namespace: Object, there: bool) -> Object:
        """Create the namespace, or update it if it is *there*, and return it.

        If two machines create an instance at the same time, the machine that creates the namespace owns the instance.

        Raises:
            MadeElsewhere: another machine has created the instance.
        """
        if not self.settings.new:
            return self.objects.apply(namespace)
        made, meta = {MADE: maker_of(self.settings.document)}, namespace["metadata"]
        if not there:
            with Ignoring(409), self.settings.in_flight.creating():
                return self.api.create({**namespace, "metadata": {**meta, "annotations": {**(meta.get("annotations") or {}), **made}}})
        found = own_namespace(self.api, self.name, self.id)  # a request is repeated when its answer was lost
        if found is None or not made.items() <= (found["metadata"].get("annotations") or {}).items():
            refuse_others(self.api, self.name, self.settings.document, must_be=True)
        return self.objects.apply(namespace)

    def with_owner(self, namespace: Object) -> Object:
        """Return *namespace* with the time until which its owner counts as alive, if the instance has an owner.

        The namespace needs this time from its creation on: otherwise, the death of the owner before its first report would go unnoticed.
        """
        meta = namespace["metadata"]
        heard = {ALIVE: now(OWNER_LASTS)} if self.owner else {}
        return {**namespace, "metadata": {**meta, "annotations": {**(meta.get("annotations") or {}), **heard}}}

    def copy_pull_secrets(self, labels: Mapping[str, str]) -> None:
        """Copy the pull secrets that envctl.toml names into the namespace, with some of the namespace's *labels*.

        Raises:
            EnvctlError: a secret does not exist or cannot be read, although envctl.toml names its namespace.
        """
        cluster = Cluster.of(self.settings.cluster)
        each(lambda name: self._copy_secret(cluster.pull_secrets_from, name, labels), cluster.pull_secrets)

    def _copy_secret(self, source: str, name: str, labels: Mapping[str, str]) -> None:
        """Copy a secret from the namespace *source*, or from that of the context, where it may be missing.

        It may be missing there because some clusters put their pull secrets into each new namespace.
        """
        place, found = source or self.api.context.namespace, None
        try:
            found = self.api.get("v1", "Secret", place, name)
        except ApiError as error:
            if source or error.status != 403:
                raise EnvctlError(f"the pull secret {name} of {place} cannot be read: {error.message}") from None
        if found is None and source:
            hint = "`[kubernetes] pull_secrets` and `pull_secrets_from` of envctl.toml name it"
            raise EnvctlError(f"there is no pull secret {name} in the namespace {place}", hint=hint)
        if found is not None:
            meta = {"name": name, "namespace": self.name, "labels": {key: labels[key] for key in COPIED}}
            data = {"type": found.get("type"), "data": found.get("data") or {}}
            self.objects.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, **data})

    def removal(self, service: str, pod: Object | None) -> EnvctlError | None:
        """Return an error if the namespace was removed or is being removed.

        The namespace is only checked if the service has had no living pod for PODLESS seconds.

        Args:
            pod: the newest pod of the service; None if it has no pod.
        """
        if pod is not None and alive(pod):
            self._podless.pop(service, None)
            return None
        if time.monotonic() - self._podless.setdefault(service, time.monotonic()) < PODLESS:
            return None
        found: Object | None = {"metadata": {}}  # without the right to read namespaces, it counts as existing
        with Ignoring(403):
            found = self.api.get("v1", "Namespace", None, self.name)
        if found is not None and not found["metadata"].get("deletionTimestamp"):
            self._podless[service] = time.monotonic()
            return None
        what = "is being removed" if found is not None else "was removed"
        return EnvctlError(f"the namespace {self.name} {what}", hint="it has expired, or was removed; `envctl up` creates it again")
