"""What is needed to use an instance, beside it in the cluster: whoever has the same rights can use it from another machine."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from envctl.engines.kubernetes.api import Api, ApiError
from envctl.instance import ID, Record
from envctl.keeper.cluster.protocol import Object

KEY, FORWARDS = "record.json", "forwards"
OURS_ALONE = ("process", "keeper")
"""What means nothing on another machine."""
THEIRS_ALONE = ("file", "write", "local")
"""Paths of the machine that brought it up."""
EXPIRES = "envctl.expires"
KIND = "envctl.record"


def secret_name(id: str) -> str:
    return f"{id}-instance"


def keep(api: Api, namespace: str, record: Record, forwards: Sequence[Mapping[str, Any]]) -> None:
    """Writes the record beside the instance, with what leads to its ports."""
    content = {key: value for key, value in asdict(record).items() if key not in OURS_ALONE} | {FORWARDS: list(forwards)}
    text = json.dumps(content, ensure_ascii=False)
    api.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": secret_name(record.id),
                "namespace": namespace,
                "labels": {
                    "app.kubernetes.io/managed-by": "envctl", "app.kubernetes.io/instance": record.id,
                    "envctl.instance": record.id, "envctl.name": record.name, KIND: "true",
                },
                "annotations": told_of(record),
            },
            "data": {KEY: base64.b64encode(text.encode()).decode()},
        }
    )  # fmt: skip


def told_of(record: Record) -> dict[str, str]:
    told = {
        "envctl.project": record.project, "envctl.owner": record.owner, "envctl.environment": record.environment,
        "envctl.created": record.created,
    }  # fmt: skip
    return told | ({EXPIRES: record.expires} if record.expires else {})


def read(secret: Object) -> tuple[Record, list[Object]] | None:
    """The record in a Secret of ours, and its forwards; None where a later version has written what we do not know."""
    try:
        content = json.loads(base64.b64decode(secret["data"][KEY]))
        known = {field.name for field in fields(Record)} - {*OURS_ALONE, *THEIRS_ALONE}
        record = Record(**{key: value for key, value in content.items() if key in known}, file="")
        # Whoever may write Secrets there has written it: it must not lead anywhere else on this machine.
        labels = secret["metadata"].get("labels") or {}
        if (
            not ID.fullmatch(record.id)
            or labels.get("envctl.instance") != record.id
            or secret["metadata"]["name"] != secret_name(record.id)
        ):
            return None
        record.state = "up"  # a command of that machine works on it, or has: it is not for this one to tell
        return record, list(content[FORWARDS])
    except (KeyError, ValueError, TypeError):
        return None


def find(api: Api, namespace: str | None, selector: str) -> Iterator[tuple[Record, list[Object]]]:
    """Record and forwards of every instance that matches; without a namespace all that may be seen."""
    for place in [namespace] if namespace else own_namespaces(api, selector):
        try:
            secrets = api.list("v1", "Secret", place, f"{KIND}=true,{selector}" if selector else f"{KIND}=true")
        except ApiError as error:
            if error.status in (403, 404):
                continue
            raise
        for secret in secrets:
            found = read(secret)
            if found is not None:
                yield found


def own_namespaces(api: Api, selector: str) -> list[str]:
    """The namespaces that are instances; none where namespaces may not be listed."""
    try:
        found = api.list("v1", "Namespace", None, f"envctl.instance,{selector}")
    except ApiError as error:
        if error.status == 403:
            return []
        raise
    return [str(item["metadata"]["name"]) for item in found]
