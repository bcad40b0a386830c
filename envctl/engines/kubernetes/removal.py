"""Removal: of a namespace that is the instance's own, else of its objects alone; and waiting until they are gone."""

from __future__ import annotations

import time

from envctl.engines.kubernetes.api import Api, ApiError
from envctl.errors import EnvctlError, UsageError
from envctl.instance.labels import INSTANCE, RECORD
from envctl.keeper.cluster.protocol import Object, path_of
from envctl.process.threads import each

KINDS = (
    ("apps/v1", "Deployment"), ("batch/v1", "Job"), ("v1", "Pod"), ("v1", "Service"), ("v1", "ConfigMap"),
    ("networking.k8s.io/v1", "NetworkPolicy"), ("v1", "ServiceAccount"), ("v1", "Secret"),
)  # fmt: skip
"""What an instance in somebody else's namespace is made of; the record's Secret goes last."""
PATIENCE = 300.0
STEP, PAUSE = 20.0, 0.3


def remove_namespace(api: Api, name: str, id: str, wait: bool = True) -> list[str]:
    """Deletes the namespace, which must carry the instance's label; what is left comes back.

    Raises:
        UsageError: it is not ours.
    """
    found = api.get("v1", "Namespace", None, name)
    if found is None:
        return []
    if (found["metadata"].get("labels") or {}).get(INSTANCE) != id:
        raise not_ours(name)
    api.delete("v1", "Namespace", None, name, uid=found["metadata"]["uid"])
    if not wait:
        return []
    return [] if _gone(api, name) else [f"namespace {name}{_why_still_there(api, name)}"]


def not_ours(name: str) -> UsageError:
    return UsageError(
        f"there is a namespace {name} that is not envctl's", hint="take another --name, or use it as it is with `--namespace`"
    )


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
        except ApiError as error:
            if error.status == 403:  # it may be deleted and looked at, but not watched
                time.sleep(0.5)
        except Exception:
            time.sleep(0.2)
    return False


def _why_still_there(api: Api, name: str) -> str:
    found = api.get("v1", "Namespace", None, name) or {}
    told = [
        c["message"]
        for c in found.get("status", {}).get("conditions") or []
        if c.get("status") == "True" and "Remaining" in c.get("type", "")
    ]
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
        try:
            items = api.list(version, kind, namespace, f"{INSTANCE}={id}")
        except ApiError as error:
            if error.status == 404:
                continue
            raise
        fresh = [item for item in items if not item["metadata"].get("deletionTimestamp")]
        if kind == "Secret" and found:  # the record stays until everything else is gone: it is what `down` finds the rest by
            fresh = [item for item in fresh if RECORD not in (item["metadata"].get("labels") or {})]
        each(lambda item: _quietly(api, version, kind, namespace, item), fresh)  # noqa: B023
        found += items
    return found


def _quietly(api: Api, version: str, kind: str, namespace: str, item: Object) -> None:
    try:
        api.delete(version, kind, namespace, item["metadata"]["name"])
    except ApiError as error:
        raise EnvctlError(f"{kind.lower()} {item['metadata']['name']} cannot be removed: {error.message}") from None
