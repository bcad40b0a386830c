"""The objects of one instance in its namespace: applied, and removed when a later plan no longer contains them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from envctl.engines.kubernetes.api import Api, ApiError, Ignoring
from envctl.engines.kubernetes.binding import Binding
from envctl.engines.kubernetes.pods import refusal
from envctl.engines.kubernetes.records import added_kinds, note_added, owners
from envctl.errors import EnvctlError, Evidence, ServiceFailed, UsageError
from envctl.instance.labels import INSTANCE, RECORD, SERVICE
from envctl.keeper.cluster.presence import record_name
from envctl.keeper.cluster.protocol import Object
from envctl.process.creation import InFlight
from envctl.process.threads import each
from envctl.render.kubernetes import Manifests

STRAYS = (
    ("apps/v1", "Deployment"), ("batch/v1", "Job"), ("v1", "Service"), ("networking.k8s.io/v1", "NetworkPolicy"), ("v1", "ConfigMap"),
    ("v1", "Secret"), ("networking.k8s.io/v1", "Ingress"), ("gateway.networking.k8s.io/v1", "HTTPRoute"),
)  # fmt: skip
"""The API versions and kinds of the objects that every plan may create, besides those that a definition adds."""
ACCOUNT = 30.0
"""The seconds that a new namespace may take until its default service account exists."""
NO_ACCOUNT = "error looking up service account"
"""How the API server refuses pods until then. The name of a service account that lacks rights also appears in refusals, which are final."""


@dataclass
class InstanceObjects:
    """The objects of an instance in *namespace*.

    Attributes:
        binding: gives the user rights in the instance's own namespace; None in a namespace that the instance shares with other programs.
        record: the Secret that holds the instance's record; in a shared namespace, it owns all other objects.
    """

    api: Api
    namespace: str
    id: str
    in_flight: InFlight
    binding: Binding | None
    record: Object | None = None

    def with_rights(self, what: Callable[[], Any]) -> Any:
        """Return the result of *what*. In the instance's own namespace, give the user the rights for it first if they are missing.

        Raises:
            ApiError: the request is refused.
        """
        return what() if self.binding is None else self.binding.with_rights(what)

    def apply(self, item: Object) -> Object:
        """Create or update an object, and return it. A Job is replaced, because Jobs cannot be changed.

        Raises:
            ServiceFailed: the object is refused for a reason that has a known remedy.
            EnvctlError: the object is refused for another reason.
        """
        until, item = time.monotonic() + ACCOUNT, item if self.binding is not None else self._owned(item)
        while True:
            try:
                with self.in_flight.creating():
                    return self.api.apply(item) if item["kind"] == "Namespace" else dict(self.with_rights(lambda: self.api.apply(item)))
            except ApiError as error:
                if item["kind"] == "Job" and error.status == 422 and "immutable" in error.message:
                    self.delete_job(item)
                elif NO_ACCOUNT not in error.message or time.monotonic() > until:
                    raise _refused(item, error) from None
                time.sleep(0.1)

    def _owned(self, item: Object) -> Object:
        """Return the object with the record as its owner, so that a reaper only needs to delete the record."""
        if self.record is None:
            self.record = self.api.get("v1", "Secret", self.namespace, record_name(self.id))
        return {**item, "metadata": {**item["metadata"], "ownerReferences": owners(self.record)}}

    def delete_job(self, item: Object) -> None:
        """Delete a Job and, without a grace period, its pods. Do nothing if the Job does not exist."""
        self.api.delete("batch/v1", "Job", self.namespace, item["metadata"]["name"], grace=0)

    def note_added(self, manifests: Manifests) -> None:
        """Note in the record which kinds of objects the definition adds, so that `remove_strays` finds these objects later.

        Raises:
            UsageError: in a shared namespace, another program has an object with the kind and the name of an added one.
        """
        added = [item for parts in manifests.services.values() for item in parts.added]
        note_added(self.api, self.namespace, self.id, {(item["apiVersion"], item["kind"]) for item in added} - {*STRAYS})
        each(self._check_free, added if self.binding is None else [])

    def _check_free(self, item: Object) -> None:
        name = item["metadata"]["name"]
        found = self.api.get(item["apiVersion"], item["kind"], self.namespace, name)
        if found is not None and (found["metadata"].get("labels") or {}).get(INSTANCE) != item["metadata"]["labels"][INSTANCE]:
            raise UsageError(f"the namespace {self.namespace} has a {item['kind']} {name} that is not this instance's", hint="rename yours")

    def remove_strays(self, manifests: Manifests) -> None:
        """Remove the objects of earlier plans that are not in *manifests*. The instance's Secrets name further kinds to look for."""
        wanted = {(item["kind"], item["metadata"]["name"]) for item in manifests.everything()}
        there = list(chain.from_iterable(each(self._of_kind, STRAYS)))
        more = each(self._of_kind, added_kinds(item for item in there if item["kind"] == "Secret"))
        self._remove_unwanted([*there, *chain.from_iterable(more)], wanted)

    def _of_kind(self, kind: tuple[str, str]) -> list[Object]:
        """Return the instance's objects of an API version and kind; none if the cluster lacks the kind, as most lack HTTPRoutes."""
        with Ignoring(404):
            return self.api.list(*kind, self.namespace, f"{INSTANCE}={self.id}")
        return []

    def _remove_unwanted(self, there: Sequence[Object], wanted: Collection[tuple[str, str]]) -> None:
        for item in there:
            meta = item["metadata"]
            if (item["kind"], meta["name"]) not in wanted and RECORD not in (meta.get("labels") or {}):
                self.api.delete(item["apiVersion"], item["kind"], self.namespace, meta["name"], uid=meta["uid"])


def _refused(item: Object, error: ApiError) -> EnvctlError:
    name, service = f"{item['kind']} {item['metadata']['name']}", (item["metadata"].get("labels") or {}).get(SERVICE, "")
    if error.status == 403 and error.reason == "Forbidden" and "cannot" in error.message:
        hint = "`envctl cluster install --print` shows the rights that envctl needs; `--namespace NS` needs them in one namespace only"
        return EnvctlError(f"{name}: no right to create it: {error.message}", hint=hint)
    found = refusal(error.message)
    if found is not None:
        return ServiceFailed(f"{service or name}: {found.what}", Evidence(service or name, found.step, advice=found.advice))
    return EnvctlError(f"{name} is refused: {error.message}", hint="`envctl render --engine kubernetes` shows the manifests")
