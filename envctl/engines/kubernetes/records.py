"""The record of an instance, published in a Secret beside it: users with the same rights can use the instance from another machine."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from envctl.engines.kubernetes.api import Api, ApiError, Ignoring
from envctl.engines.protocol import MadeElsewhere, PublishedRecord
from envctl.errors import EnvctlError, UsageError
from envctl.instance import labels
from envctl.instance.identity import ID
from envctl.keeper.cluster.presence import record_name
from envctl.keeper.cluster.protocol import Object, path_of

KEY, FORWARDS = "record.json", "forwards"
ADDED = "envctl.adds."
"""The prefix of the annotations that name the kinds of the objects that a definition adds."""
TRIES = 5
"""The number of attempts to change a record that other commands change at the same time."""
OURS_ALONE = ("process", "keeper")
"""The keys of a record that have no meaning on another machine."""


def publish(
    api: Api, namespace: str, document: Mapping[str, Any], forwards: Sequence[Mapping[str, Any]], told: Mapping[str, str] | None = None,
    new: bool = False,
) -> Object:  # fmt: skip
    """Write the record and the port forwards to a Secret beside the instance, and return this Secret.

    Args:
        told: further annotations of the Secret.
        new: whether the record must not exist yet.

    Raises:
        MadeElsewhere: a record exists, of another instance with the same id.
        ApiError: the Secret cannot be written.
    """
    content = {key: value for key, value in document.items() if key not in OURS_ALONE} | {FORWARDS: list(forwards)}
    text = json.dumps(content, ensure_ascii=False)
    id = str(document["id"])
    its = {
        "app.kubernetes.io/managed-by": "envctl", "app.kubernetes.io/instance": id,
        labels.INSTANCE: id, labels.NAME: str(document["name"]), labels.RECORD: "true",
    }  # fmt: skip
    meta = {"name": record_name(id), "namespace": namespace, "labels": its, "annotations": {**_annotations(document), **(told or {})}}
    data = {KEY: base64.b64encode(text.encode()).decode()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data}
    return _made(api, secret, document) if new else api.apply(secret)


def _made(api: Api, secret: Object, document: Mapping[str, Any]) -> Object:
    """Create the Secret. If two machines create an instance at the same time, only one of them succeeds.

    Raises:
        MadeElsewhere: the other machine has created it.
        ApiError: the Secret cannot be created.
    """
    try:
        return api.create(secret)
    except ApiError as error:
        if error.status != 409:
            raise
    refuse_others(api, secret["metadata"]["namespace"], document)
    return api.apply(secret)


def maker_of(document: Mapping[str, Any]) -> str:
    """Return a hash that distinguishes the instance from others with the same id, and does not reveal its secret."""
    return hashlib.sha256(str(document["secret"]).encode()).hexdigest()[:16]


def refuse_others(api: Api, namespace: str, document: Mapping[str, Any], must_be: bool = False) -> None:
    """Check that a published record with the id of *document* belongs to the same instance as *document*.

    Args:
        must_be: whether a missing record counts as that of another instance.

    Raises:
        MadeElsewhere: the published record belongs to another instance.
    """
    id, found = str(document["id"]), None
    with Ignoring(403):  # only the user who has created the namespace has rights in it
        found = api.get("v1", "Secret", namespace, record_name(id))
    record = read(found) if found is not None else None
    if (found is not None or must_be) and (record is None or record.document.get("secret") != document["secret"]):
        raise MadeElsewhere(f"another machine is bringing {id} up, or has brought it up")


def owners(record: Object | None) -> list[Object]:
    """Return owner references with which the cluster removes an object together with the Secret *record*; empty without a record."""
    meta = record["metadata"] if record is not None else None
    return [{"apiVersion": "v1", "kind": "Secret", "name": meta["name"], "uid": meta["uid"]}] if meta is not None else []


def _annotations(document: Mapping[str, Any]) -> dict[str, str]:
    told = {
        labels.PROJECT: str(document["project"]), labels.OWNER: str(document["owner"]),
        labels.ENVIRONMENT: str(document["environment"]), labels.CREATED: str(document["created"]),
        labels.KEY: str(document.get("key") or ""),
    }  # fmt: skip
    return told | ({labels.EXPIRES: str(document["expires"])} if document.get("expires") else {})


def note_added(api: Api, namespace: str, id: str, kinds: Collection[tuple[str, str]]) -> None:
    """Note API versions and kinds in the record, so that `down` and a later `up` look for such objects. Notes are never removed."""
    told = {f"{ADDED}{hashlib.sha256(' '.join(each).encode()).hexdigest()[:12]}": " ".join(each) for each in kinds}
    if told:
        _patch(api, namespace, id, {"metadata": {"annotations": told}})


def added_kinds(secrets: Iterable[Object]) -> list[tuple[str, str]]:
    """Return the API versions and kinds that `note_added` has noted in the records among *secrets*."""
    told = [value for item in secrets for key, value in (item["metadata"].get("annotations") or {}).items() if key.startswith(ADDED)]
    return sorted({(version, kind) for version, _, kind in (each.partition(" ") for each in told) if version and kind})


def renew(api: Api, namespace: str, id: str, expires: str | None) -> None:
    """Set when the instance expires (None: never) in its record and its annotations; do nothing if there is no record.

    Raises:
        EnvctlError: other commands change the record again and again.
        ApiError: the record cannot be changed.
    """
    for _ in range(TRIES):
        try:
            _renew(api, namespace, id, expires)
        except ApiError as error:  # a command that works on the instance changes the record, too
            if error.status != 409:
                raise
        else:
            return
    raise EnvctlError(f"{id}: other commands keep changing its record", hint="try again")


def _renew(api: Api, namespace: str, id: str, expires: str | None) -> None:
    found = api.get("v1", "Secret", namespace, record_name(id))
    record = read(found) if found is not None else None
    if found is None or record is None:
        return
    told = {"metadata": {"annotations": {labels.EXPIRES: expires}, "resourceVersion": found["metadata"].get("resourceVersion")}}
    if "version" not in record.document:  # the record is damaged, which is reported when it is read
        _patch(api, namespace, id, told)
        return
    text = json.dumps({**record.document, FORWARDS: list(record.access), "expires": expires}, ensure_ascii=False)
    _patch(api, namespace, id, told | {"data": {KEY: base64.b64encode(text.encode()).decode()}})


def heard_of_owner(api: Api, namespace: str, id: str, until: str) -> None:
    """Note in the record the time until which the owner counts as alive; do nothing if there is no record."""
    _patch(api, namespace, id, {"metadata": {"annotations": {labels.ALIVE: until}}})


def _patch(api: Api, namespace: str, id: str, body: Object) -> None:
    with Ignoring(404):
        api.request("PATCH", path_of("v1", "Secret", namespace, record_name(id)), body, "application/merge-patch+json")


def find_published(api: Api, namespace: str | None, name: str, project: str) -> PublishedRecord | None:
    """Return the record of the instance with the id *name*, or with the name *name* and the checkout *project*; None if there is none.

    Args:
        project: the path of the checkout; empty if *name* can only be an id.

    Raises:
        UsageError: several instances have this name.
        EnvctlError: the cluster refuses to list the namespaces or records.
    """
    if ID.fullmatch(name):
        found = next(_matching(api, namespace or name, f"{labels.INSTANCE}={name}", own=namespace is None), None)
        if found is not None or not project:
            return found
    named = [each for each in _matching(api, namespace, f"{labels.NAME}={name}") if each.document["project"] == project]
    if len(named) > 1:
        ids = ", ".join(sorted(str(each.document["id"]) for each in named))
        raise UsageError(f"several instances are called '{name}' on {api.context.name}: {ids}", hint="name one by its id")
    return named[0] if named else None


def _matching(api: Api, namespace: str | None, selector: str, own: bool = False) -> Iterator[PublishedRecord]:
    """Yield the records of all instances that match *selector*, in *namespace* or, without it, in all namespaces of instances.

    Args:
        own: whether *namespace* is one instance's own, so that it may not exist.
    """
    for place in [namespace] if namespace else _own_namespaces(api, selector):
        try:
            found = map(read, api.list("v1", "Secret", place, f"{labels.RECORD}=true,{selector}"))
        except ApiError as error:
            if error.status == 404 or (own and error.status == 403 and not _is_there(api, place)):
                continue
            raise
        yield from [record for record in found if record is not None]


def _is_there(api: Api, name: str) -> bool:
    """Return whether the namespace exists, or may exist because the user has no right to read it.

    This is needed because the API server reports missing rights, and not a missing namespace, to users without rights in it.
    """
    with Ignoring(403):
        return api.get("v1", "Namespace", None, name) is not None
    return True


def read(secret: Object) -> PublishedRecord | None:
    """Return the record in a Secret; None if the Secret has no record, or the record of another instance than its labels say.

    For a damaged record, return only what labels and annotations contain: since the version is missing, callers report the damage.
    Everybody who may write Secrets there can write records, so a record must not refer to another instance on this machine.
    """
    meta = secret["metadata"]
    labelled = (meta.get("labels") or {}).get(labels.INSTANCE) or ""
    if not ID.fullmatch(labelled) or meta["name"] != record_name(labelled):
        return None
    try:
        content = json.loads(base64.b64decode(secret["data"][KEY]))
        forwards, id, project = list(content.pop(FORWARDS)), content["id"], content["project"]
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        id = project = None
    if not isinstance(id, str) or not isinstance(project, str):
        return PublishedRecord({"id": labelled, "project": (meta.get("annotations") or {}).get(labels.PROJECT)}, [])
    return PublishedRecord(content, forwards) if id == labelled else None


def _own_namespaces(api: Api, selector: str) -> list[str]:
    """Return the names of the instances' own namespaces that match *selector*.

    Raises:
        EnvctlError: the namespaces cannot be listed.
    """
    try:
        return [str(item["metadata"]["name"]) for item in api.list("v1", "Namespace", None, f"{labels.INSTANCE},{selector}")]
    except ApiError as error:
        hint = "give its id (NAME-123456), or its namespace with ENVCTL_NAMESPACE"
        raise EnvctlError(f"{api.context.name}: envctl cannot tell whether it is there: {error.message}", hint=hint) from None
