"""What is needed to use an instance, beside it in the cluster: whoever has the same rights can use it from another machine."""

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
"""Begins the annotations that name kinds of objects which a definition adds."""
TRIES = 5
"""For what somebody else has changed since it was read."""
OURS_ALONE = ("process", "keeper")
"""What means nothing on another machine."""


def publish(
    api: Api, namespace: str, document: Mapping[str, Any], forwards: Sequence[Mapping[str, Any]], told: Mapping[str, str] | None = None,
    new: bool = False,
) -> Object:  # fmt: skip
    """Writes the record beside the instance, with what leads to its ports; the Secret that holds it.

    Args:
        told: annotations that it gets as well.
        new: there is none yet.

    Raises:
        MadeElsewhere: there is one, of another instance of that id.
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
    """Made by nobody but us: of two machines that make an instance at the same time one is the first."""
    try:
        return api.create(secret)
    except ApiError as error:
        if error.status != 409:
            raise
    refuse_others(api, secret["metadata"]["namespace"], document)
    return api.apply(secret)


def maker_of(document: Mapping[str, Any]) -> str:
    """What tells the instance from another one of its id, and gives nothing away."""
    return hashlib.sha256(str(document["secret"]).encode()).hexdigest()[:16]


def refuse_others(api: Api, namespace: str, document: Mapping[str, Any], must_be: bool = False) -> None:
    """
    Args:
        must_be: there has to be a record.

    Raises:
        MadeElsewhere: the instance of that id is not the one that *document* is the record of.
    """
    id, found = str(document["id"]), None
    with Ignoring(403):  # in a namespace of their own nobody has rights but they
        found = api.get("v1", "Secret", namespace, record_name(id))
    record = read(found) if found is not None else None
    if (found is not None or must_be) and (record is None or record.document.get("secret") != document["secret"]):
        raise MadeElsewhere(f"another machine is bringing {id} up, or has brought it up")


def owners(record: Object | None) -> list[Object]:
    """What says of an object that it goes when the Secret *record* goes, whoever deletes that."""
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
    """Notes versions and kinds that `down` and a later `up` would not look for otherwise; none is ever taken back."""
    told = {f"{ADDED}{hashlib.sha256(' '.join(each).encode()).hexdigest()[:12]}": " ".join(each) for each in kinds}
    if told:
        _patch(api, namespace, id, {"metadata": {"annotations": told}})


def added_kinds(secrets: Iterable[Object]) -> list[tuple[str, str]]:
    """Those that the records among *secrets* note."""
    told = [value for item in secrets for key, value in (item["metadata"].get("annotations") or {}).items() if key.startswith(ADDED)]
    return sorted({(version, kind) for version, _, kind in (each.partition(" ") for each in told) if version and kind})


def renew(api: Api, namespace: str, id: str, expires: str | None) -> None:
    """The record, and what is told of it, with another time at which it expires; nothing where there is none."""
    for _ in range(TRIES):
        try:
            _renew(api, namespace, id, expires)
        except ApiError as error:  # whoever works on it says so from time to time
            if error.status != 409:
                raise
        else:
            return
    raise EnvctlError(f"{id}: its record is changed by others again and again", hint="try it again")


def _renew(api: Api, namespace: str, id: str, expires: str | None) -> None:
    found = api.get("v1", "Secret", namespace, record_name(id))
    record = read(found) if found is not None else None
    if found is None or record is None:
        return
    told = {"metadata": {"annotations": {labels.EXPIRES: expires}, "resourceVersion": found["metadata"].get("resourceVersion")}}
    if "version" not in record.document:  # damaged: whoever reads it will say so
        _patch(api, namespace, id, told)
        return
    text = json.dumps({**record.document, FORWARDS: list(record.access), "expires": expires}, ensure_ascii=False)
    _patch(api, namespace, id, told | {"data": {KEY: base64.b64encode(text.encode()).decode()}})


def heard_of_owner(api: Api, namespace: str, id: str, until: str) -> None:
    """Notes that the owner is taken to live until then; nothing where there is no record."""
    _patch(api, namespace, id, {"metadata": {"annotations": {labels.ALIVE: until}}})


def _patch(api: Api, namespace: str, id: str, body: Object) -> None:
    with Ignoring(404):
        api.request("PATCH", path_of("v1", "Secret", namespace, record_name(id)), body, "application/merge-patch+json")


def find_published(api: Api, namespace: str | None, name: str, project: str) -> PublishedRecord | None:
    """The record of the instance whose id is *name*, or whose name it is where *project* is its checkout too.

    Args:
        project: empty where *name* is an id.

    Raises:
        UsageError: several have that name.
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
    """Those of every instance that matches; without a namespace all that may be seen.

    Args:
        own: the namespace would be the instance's own, and may not be there.
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
    """Whether the namespace is, as far as one may look: in one that is not there nobody has rights, and is told that instead."""
    with Ignoring(403):
        return api.get("v1", "Namespace", None, name) is not None
    return True


def read(secret: Object) -> PublishedRecord | None:
    """The record in a Secret of ours; None where it is none, or another instance's.

    Of a damaged one the labels and annotations are left: without a version, whoever reads the document says that it is damaged.
    Whoever may write Secrets there has written it: it must not lead anywhere else on this machine.
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
    """The namespaces that are instances.

    Raises:
        EnvctlError: they may not be listed.
    """
    try:
        return [str(item["metadata"]["name"]) for item in api.list("v1", "Namespace", None, f"{labels.INSTANCE},{selector}")]
    except ApiError as error:
        hint = "give its id (NAME-123456), or its namespace with ENVCTL_NAMESPACE"
        raise EnvctlError(f"{api.context.name}: envctl cannot tell whether it is there: {error.message}", hint=hint) from None
