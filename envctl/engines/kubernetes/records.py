"""What is needed to use an instance, beside it in the cluster: whoever has the same rights can use it from another machine."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from envctl.engines.kubernetes.api import Api, Ignoring
from envctl.engines.seam import PublishedRecord
from envctl.instance import labels
from envctl.instance.identity import ID
from envctl.keeper.cluster.protocol import Object

KEY, FORWARDS = "record.json", "forwards"
OURS_ALONE = ("process", "keeper")
"""What means nothing on another machine."""


def secret_name(id: str) -> str:
    return f"{id}-instance"


def publish(api: Api, namespace: str, document: Mapping[str, Any], forwards: Sequence[Mapping[str, Any]]) -> None:
    """Writes the record beside the instance, with what leads to its ports."""
    content = {key: value for key, value in document.items() if key not in OURS_ALONE} | {FORWARDS: list(forwards)}
    text = json.dumps(content, ensure_ascii=False)
    id = str(document["id"])
    told = {
        "app.kubernetes.io/managed-by": "envctl", "app.kubernetes.io/instance": id,
        labels.INSTANCE: id, labels.NAME: str(document["name"]), labels.RECORD: "true",
    }  # fmt: skip
    meta = {"name": secret_name(id), "namespace": namespace, "labels": told, "annotations": _annotations(document)}
    data = {KEY: base64.b64encode(text.encode()).decode()}
    api.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})


def _annotations(document: Mapping[str, Any]) -> dict[str, str]:
    told = {
        labels.PROJECT: str(document["project"]), labels.OWNER: str(document["owner"]),
        labels.ENVIRONMENT: str(document["environment"]), labels.CREATED: str(document["created"]),
        labels.KEY: str(document.get("key") or ""),
    }  # fmt: skip
    return told | ({labels.EXPIRES: str(document["expires"])} if document.get("expires") else {})


def find_published(api: Api, namespace: str | None, name: str, project: str) -> PublishedRecord | None:
    """The record of the instance whose id is *name*, or whose name it is where *project* is its checkout too."""
    if ID.fullmatch(name):
        found = next(_matching(api, namespace or name, f"{labels.INSTANCE}={name}"), None)
        if found is not None:
            return found
    named = [each for each in _matching(api, namespace, f"{labels.NAME}={name}") if each.document["project"] == project]
    return named[0] if len(named) == 1 else None


def _matching(api: Api, namespace: str | None, selector: str) -> Iterator[PublishedRecord]:
    """Those of every instance that matches; without a namespace all that may be seen."""
    for place in [namespace] if namespace else _own_namespaces(api, selector):
        with Ignoring(403, 404):
            found = map(read, api.list("v1", "Secret", place, f"{labels.RECORD}=true,{selector}"))
            yield from [record for record in found if record is not None]


def read(secret: Object) -> PublishedRecord | None:
    """The record in a Secret of ours; None where it is none, or another instance's.

    Of a damaged one the labels and annotations are left: without a version, whoever reads the document says that it is damaged.
    Whoever may write Secrets there has written it: it must not lead anywhere else on this machine.
    """
    meta = secret["metadata"]
    labelled = (meta.get("labels") or {}).get(labels.INSTANCE) or ""
    if not ID.fullmatch(labelled) or meta["name"] != secret_name(labelled):
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
    """The namespaces that are instances; none where namespaces may not be listed."""
    with Ignoring(403):
        return [str(item["metadata"]["name"]) for item in api.list("v1", "Namespace", None, f"{labels.INSTANCE},{selector}")]
    return []
