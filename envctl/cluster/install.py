"""`envctl cluster install`, `status` and `uninstall`: they apply, compare and remove the objects in a shared cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from envctl.cluster.manifests import Object, cluster_objects
from envctl.engines.kubernetes.api import Api, ApiError
from envctl.errors import EnvctlError, UsageError
from envctl.instance.labels import INSTANCE

MANAGED = "app.kubernetes.io/managed-by"


class Found(NamedTuple):
    """One object, and its state."""

    name: str
    state: str
    """`there`, `missing` or `changed`."""


def install(api: Api, namespace: str, teams: Sequence[str], teams_only: bool = False) -> list[str]:
    """Apply all objects, and return their names. A second call changes nothing.

    Args:
        namespace: the namespace for envctl's own objects.
        teams: the existing namespaces in which teams may use envctl.
        teams_only: whether to apply only the objects in the namespaces of *teams*, which needs rights in these namespaces only.

    Raises:
        UsageError: *namespace* exists and does not belong to envctl, or the namespace of a team does not exist.
        EnvctlError: the user lacks rights, or the cluster has no admission policies (Kubernetes before 1.30).
    """
    objects = cluster_objects(namespace, teams, teams_only)
    _refuse_foreign(api, "" if teams_only else namespace, teams)
    for item in objects:
        try:
            api.apply(item)
        except ApiError as error:
            raise _refused(item, error) from None
    return [title(item) for item in objects]


def _refuse_foreign(api: Api, namespace: str, teams: Sequence[str]) -> None:
    found = api.get("v1", "Namespace", None, namespace) if namespace else None
    if found is not None and (found["metadata"].get("labels") or {}).get(MANAGED) != "envctl":
        raise UsageError(f"the namespace {namespace} exists, and is not envctl's", hint="choose another one with --namespace")
    for team in teams:
        if api.get("v1", "Namespace", None, team) is None:
            raise UsageError(f"--team {team}: there is no such namespace", hint=f"`kubectl create namespace {team}`, with your own quota")


def _refused(item: Object, error: ApiError) -> EnvctlError:
    if error.status == 404:
        return EnvctlError(f"the cluster does not know {item['kind']} ({item['apiVersion']})", hint="Kubernetes 1.30 or later is required")
    hint = "an administrator of the cluster does this once; `--print` shows what is applied" if error.status == 403 else ""
    return EnvctlError(f"{title(item)} is refused: {error.message}", hint=hint)


def title(item: Object) -> str:
    """Return the object's kind, namespace and name, for messages."""
    meta = item["metadata"]
    return f"{item['kind']} {meta['namespace']}/{meta['name']}" if meta.get("namespace") else f"{item['kind']} {meta['name']}"


def status(api: Api, namespace: str, teams: Sequence[str] = (), teams_only: bool = False) -> list[Found]:
    """Return each object, and whether it exists as this version of envctl would apply it.

    The arguments are those of `install`.

    Raises:
        EnvctlError: the cluster refuses a request, or does not answer.
    """
    return [Found(title(item), _state(api, item)) for item in cluster_objects(namespace, teams, teams_only)]


def _state(api: Api, item: Object) -> str:
    meta = item["metadata"]
    there = api.get(item["apiVersion"], item["kind"], meta.get("namespace"), meta["name"])
    if there is None:
        return "missing"
    return "there" if _covers(there, item) else "changed"


def _covers(there: object, wanted: object) -> bool:
    """Return whether *there* contains all that is *wanted*; fields that the API server has added are ignored."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(_covers(there.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(there, list) and len(there) == len(wanted) and all(map(_covers, there, wanted))
    return there == wanted or str(there) == str(wanted)


def instances(api: Api) -> list[str]:
    """Return the names of the namespaces that belong to instances."""
    return [str(item["metadata"]["name"]) for item in api.list("v1", "Namespace", None, INSTANCE)]


def uninstall(api: Api, namespace: str, teams: Sequence[str], force: bool = False, teams_only: bool = False) -> Iterator[str]:
    """Remove the objects of `install`, and yield their names. Rights are removed before the policies that limit them.

    Args:
        force: whether to do this although there are instances, which nothing removes after their expiry then.

    Raises:
        UsageError: there are instances and *force* is false, or *namespace* does not belong to envctl.
        EnvctlError: the cluster refuses a request, or does not answer.
    """
    if not teams_only and (left := instances(api)) and not force:
        shown = ", ".join(left[:5]) + (", ..." if len(left) > 5 else "")
        many, them = (f"{len(left)} instances are", "them") if len(left) > 1 else ("1 instance is", "it")
        raise UsageError(
            f"{many} still there ({shown}), and nothing would remove {them} in time",
            hint="remove them first, or use --yes",
        )
    _refuse_foreign(api, "" if teams_only else namespace, ())
    for item in reversed(cluster_objects(namespace, teams, teams_only)):
        meta = item["metadata"]
        found = api.get(item["apiVersion"], item["kind"], meta.get("namespace"), meta["name"])
        if found is None or (found["metadata"].get("labels") or {}).get(MANAGED) != "envctl":
            continue
        api.delete(item["apiVersion"], item["kind"], meta.get("namespace"), meta["name"], uid=found["metadata"]["uid"])
        yield title(item)
