"""The removal of an instance from a cluster: of its namespace or, in a shared namespace, of the objects with its label."""

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
"""The API versions and kinds of an instance's objects in a shared namespace, except Secrets."""
PATIENCE = 300.0
"""The seconds to wait until everything is removed."""
STEP, PAUSE = 20.0, 0.3
"""The seconds that one watch lasts, and those between two attempts."""
USUAL = 10.0
"""The seconds that pods and the finalizers of Kubernetes itself may take before they are reported."""
PASSING = ("kubernetes.io/", "still remain")
"""Parts of the messages that appear for every namespace whose pods take a moment to stop."""
FINALIZERS = re.compile(r"(\S+) in \d+ resource instances")


@dataclass
class Stuck:
    """The reasons that delay a removal, reported as soon as they are known, so that the user can resolve them."""

    what: str
    began: float = field(default_factory=time.monotonic)
    told: set[str] = field(default_factory=set)

    def tell(self, reasons: Iterable[str]) -> None:
        """Report the new ones among *reasons* on the terminal; usual ones only after USUAL seconds."""
        late = time.monotonic() - self.began > USUAL
        fresh = [why for why in dict.fromkeys(reasons) if why not in self.told and (late or not any(word in why for word in PASSING))]
        self.told.update(fresh)
        if fresh:
            tell(f"envctl: {self.what} is kept by {', '.join(fresh)}; Ctrl-C leaves the rest to the cluster")


def remove_namespace(api: Api, name: str, id: str, wait: bool = True) -> list[str]:
    """Delete the namespace, which must carry the instance's label; return what is left after PATIENCE seconds.

    Raises:
        UsageError: the namespace does not carry the label.
        ApiError: the namespace cannot be deleted.
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
    """Watch the namespace until it is deleted; return False if that takes too long. One with the same name but another *uid* is ignored."""
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
        except Exception:  # for example, the user may read the namespace but not watch it
            time.sleep(PAUSE)
    return False


def _keeping(namespace: Object) -> Iterator[str]:
    """Yield what delays the removal: finalizers that are still set, and errors that the namespace's controller reports."""
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
    """Delete the objects with the instance's label in a shared namespace; return what is left after PATIENCE seconds.

    Raises:
        EnvctlError: an object cannot be deleted.
    """
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
    """Delete all objects once, and return those that still existed. Secrets are last: the record names the kinds of added objects."""
    found: list[Object] = []
    secrets = api.list("v1", "Secret", namespace, f"{labels.INSTANCE}={id}")
    for version, kind in (*KINDS, *added_kinds(secrets), ("v1", "Secret")):
        items = secrets if kind == "Secret" else _labelled(api, version, kind, namespace, id)
        fresh = [item for item in items if not item["metadata"].get("deletionTimestamp")]
        if kind == "Secret" and found:  # the record is deleted last, because `down` finds the other objects by it
            fresh = [item for item in fresh if labels.RECORD not in (item["metadata"].get("labels") or {})]
        each(lambda item: _quietly(api, version, kind, namespace, item), fresh)  # noqa: B023
        found += items
    return found


def _labelled(api: Api, version: str, kind: str, namespace: str, id: str) -> list[Object]:
    """Return the instance's objects of one kind; empty if the cluster no longer has this kind."""
    with Ignoring(404), suppress(UsageError):
        return api.list(version, kind, namespace, f"{labels.INSTANCE}={id}")
    return []


def _quietly(api: Api, version: str, kind: str, namespace: str, item: Object) -> None:
    try:
        api.delete(version, kind, namespace, item["metadata"]["name"], uid=item["metadata"]["uid"])
    except ApiError as error:
        raise EnvctlError(f"{kind.lower()} {item['metadata']['name']} cannot be removed: {error.message}") from None
