"""The end of an instance on a cluster: its namespace, or what carries its label in a namespace of others."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from envctl.engines.kubernetes.api import Api, ApiError, Ignoring
from envctl.engines.kubernetes.instance import own_namespace
from envctl.engines.kubernetes.records import added_kinds
from envctl.errors import EnvctlError, UsageError
from envctl.instance import labels
from envctl.keeper.cluster.protocol import Object, path_of
from envctl.process.signals import interruptible
from envctl.process.terminal import tell
from envctl.process.threads import each

KINDS = (
    ("apps/v1", "Deployment"), ("batch/v1", "Job"), ("v1", "Pod"), ("v1", "Service"), ("v1", "ConfigMap"),
    ("networking.k8s.io/v1", "NetworkPolicy"), ("networking.k8s.io/v1", "Ingress"), ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("v1", "ServiceAccount"),
)  # fmt: skip
"""What an instance in somebody else's namespace is made of, beside its Secrets."""
PATIENCE = 300.0
STEP, PAUSE = 20.0, 0.3
USUAL = 10.0
"""Seconds that Kubernetes' own finalizers and pods may take before they are spoken of."""
PASSING = ("kubernetes.io/", "still remain")
"""In what is said of every namespace whose pods take a moment to end."""
FINALIZERS = re.compile(r"(\S+) in \d+ resource instances")


@dataclass
class Stuck:
    """What keeps something from going, told as soon as it is known: whoever waits can do something about it."""

    what: str
    began: float = field(default_factory=time.monotonic)
    told: set[str] = field(default_factory=set)

    def tell(self, reasons: Iterable[str]) -> None:
        late = time.monotonic() - self.began > USUAL
        fresh = [why for why in dict.fromkeys(reasons) if why not in self.told and (late or not any(word in why for word in PASSING))]
        self.told.update(fresh)
        if fresh:
            tell(f"envctl: {self.what} is kept by {', '.join(fresh)}; Ctrl-C leaves the rest to the cluster")


def remove_namespace(api: Api, name: str, id: str, wait: bool = True) -> list[str]:
    """Deletes the namespace, which must carry the instance's label; what is left comes back.

    Raises:
        UsageError: it is not ours.
    """
    found = own_namespace(api, name, id)
    if found is None:
        return []
    api.delete("v1", "Namespace", None, name, uid=found["metadata"]["uid"])
    if not wait:
        return []
    with interruptible():
        return [] if gone(api, name, found["metadata"]["uid"]) else [f"namespace {name}{_why_still_there(api, name)}"]


def gone(api: Api, name: str, uid: str) -> bool:
    """Whether the namespace is deleted in the end, which is watched; another of its name is no business of ours."""
    until, stuck = time.monotonic() + PATIENCE, Stuck(f"the namespace {name}")
    while (left := until - time.monotonic()) > 0:
        found = api.get("v1", "Namespace", None, name)
        if found is None or found["metadata"]["uid"] != uid:
            return True
        stuck.tell(_keeping(found))
        query = {"fieldSelector": f"metadata.name={name}", "resourceVersion": found["metadata"]["resourceVersion"]}
        step = min(left, STEP)
        try:
            for event in api.watch(path_of("v1", "Namespace"), step, timeoutSeconds=str(int(step) + 1), **query):
                if event["type"] == "DELETED":
                    return True
                stuck.tell(_keeping(event["object"]))
        except Exception:  # also that it may be deleted and looked at, but not watched
            time.sleep(PAUSE)
    return False


def _keeping(namespace: Object) -> Iterator[str]:
    """Finalizers that somebody has still to take away, and what the namespace's controller could not do."""
    for condition in namespace.get("status", {}).get("conditions") or []:
        if condition.get("status") != "True" or condition.get("type") == "NamespaceContentRemaining":
            continue
        told = str(condition.get("message", ""))
        yield from (f"the finalizer {name}" for name in FINALIZERS.findall(told)) if "inalizer" in told else (told,)


def _why_still_there(api: Api, name: str) -> str:
    found = api.get("v1", "Namespace", None, name) or {}
    conditions = [each for each in found.get("status", {}).get("conditions") or [] if each.get("status") == "True"]
    told = [each["message"] for each in conditions if "Remaining" in each.get("type", "")]
    return f" ({'; '.join(told)})" if told else ""


def remove_objects(api: Api, namespace: str, id: str, wait: bool = True) -> list[str]:
    """Deletes what carries the instance's label in a namespace of others, and nothing else."""
    until, stuck = time.monotonic() + PATIENCE, Stuck(f"{id} in {namespace}")
    left = _delete_all(api, namespace, id)
    with interruptible():
        while left and wait:
            if time.monotonic() > until:
                return [_shown(item) for item in left]
            stuck.tell(f"the finalizer {name} of {_shown(item)}" for item in left for name in item["metadata"].get("finalizers") or [])
            time.sleep(PAUSE)
            left = _delete_all(api, namespace, id)
    return []


def _shown(item: Object) -> str:
    return f"{item['kind'].lower()} {item['metadata']['name']}"


def _delete_all(api: Api, namespace: str, id: str) -> list[Object]:
    """One round; what was still there comes back. Secrets go last: the record tells of kinds that the definition has added."""
    found: list[Object] = []
    secrets = api.list("v1", "Secret", namespace, f"{labels.INSTANCE}={id}")
    for version, kind in (*KINDS, *added_kinds(secrets), ("v1", "Secret")):
        items = secrets if kind == "Secret" else _labelled(api, version, kind, namespace, id)
        fresh = [item for item in items if not item["metadata"].get("deletionTimestamp")]
        if kind == "Secret" and found:  # the record stays until everything else is gone: it is what `down` finds the rest by
            fresh = [item for item in fresh if labels.RECORD not in (item["metadata"].get("labels") or {})]
        each(lambda item: _quietly(api, version, kind, namespace, item), fresh)  # noqa: B023
        found += items
    return found


def _labelled(api: Api, version: str, kind: str, namespace: str, id: str) -> list[Object]:
    """Of a kind that the cluster does not have any more there is nothing."""
    with Ignoring(404), suppress(UsageError):
        return api.list(version, kind, namespace, f"{labels.INSTANCE}={id}")
    return []


def _quietly(api: Api, version: str, kind: str, namespace: str, item: Object) -> None:
    try:
        api.delete(version, kind, namespace, item["metadata"]["name"], uid=item["metadata"]["uid"])
    except ApiError as error:
        raise EnvctlError(f"{kind.lower()} {item['metadata']['name']} cannot be removed: {error.message}") from None
