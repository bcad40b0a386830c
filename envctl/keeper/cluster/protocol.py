"""The protocol of the API server, for any transport: paths of resources, errors, and the events of a watch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

Object = dict[str, Any]
"""The JSON of a Kubernetes object."""
PLURALS = {
    "NetworkPolicy": "networkpolicies", "Ingress": "ingresses", "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
}  # fmt: skip
CLUSTER_WIDE = ("Namespace", "ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
"""The kinds that do not belong to a namespace."""
GONE = 410
"""The HTTP status of a watch whose resource version the server no longer knows."""


class Refused(Exception):
    """The API server, or a proxy in front of it, has refused a request. The text is the server's message.

    Attributes:
        status: the HTTP status; 0 if there was no response.
        reason: the server's reason, such as AlreadyExists; empty if it gave none.
        details: the server's details; empty if it gave none.
    """

    def __init__(self, status: int, message: str, reason: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.details = status, reason, details or {}


def path_of(version: str, kind: str, namespace: str | None = None, name: str | None = None, plural: str = "") -> str:
    """Return the URL path of a resource, or without *name* of its collection.

    Args:
        version: the API version, such as `v1` or `apps/v1`.
        kind: the kind, such as `Pod`.
        plural: the name of the collection, if it does not follow from the kind.
    """
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    inside = f"/namespaces/{namespace}" if namespace and kind not in CLUSTER_WIDE else ""
    plural = plural or PLURALS.get(kind) or f"{kind.lower()}s"
    return f"{root}{inside}/{plural}" + (f"/{name}" if name else "")


def impersonated(user: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the headers for a kubeconfig's `as`, `as-uid`, `as-groups` and `as-user-extra`, one header for each value."""
    found = [(f"Impersonate-{name}", str(user[key])) for key, name in (("as", "User"), ("as-uid", "Uid")) if user.get(key)]
    found += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or []]
    extra = user.get("as-user-extra") or {}
    return found + [(f"Impersonate-Extra-{quote(key.lower(), safe='')}", str(each)) for key, values in extra.items() for each in values]


def refusal(status: int, body: bytes) -> Refused:
    """Return the exception for an error response, whose body is a `Status` object or plain text."""
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return Refused(status, body.decode(errors="replace").strip() or f"HTTP {status}")
    return Refused(status, str(told.get("message") or f"HTTP {status}"), str(told.get("reason", "")), told.get("details"))


def events(pieces: Iterable[bytes]) -> Iterator[Object]:
    """Yield the events of a watch without its bookmarks, which only show that the watch is alive.

    Args:
        pieces: the body of the response, split at any place.

    Raises:
        Refused: the server has sent an error; the pods have to be listed again.
    """
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for event in (json.loads(line) for line in lines if line.strip()):
            if event["type"] == "ERROR":
                raise Refused(int(event["object"].get("code", GONE)), str(event["object"].get("message", "")))
            if event["type"] != "BOOKMARK":
                yield event
