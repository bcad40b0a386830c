"""What the API server's protocol consists of, whoever carries it: the paths of resources, refusals, the events of a watch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

Object = dict[str, Any]
PLURALS = {
    "NetworkPolicy": "networkpolicies", "Ingress": "ingresses", "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
}  # fmt: skip
CLUSTER_WIDE = ("Namespace", "ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
GONE = 410
"""The status of a watch whose beginning the server does not know any more."""


class Refused(Exception):
    """The API server did not do it; the text is its own, or that of whoever stands before it.

    Attributes:
        status: of HTTP.
        reason: the server's word for it, such as AlreadyExists; empty where there is none.
    """

    def __init__(self, status: int, message: str, reason: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.details = status, reason, details or {}


def path_of(version: str, kind: str, namespace: str | None = None, name: str | None = None, plural: str = "") -> str:
    """The path of a resource; without a name that of its collection."""
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    inside = f"/namespaces/{namespace}" if namespace and kind not in CLUSTER_WIDE else ""
    plural = plural or PLURALS.get(kind) or f"{kind.lower()}s"
    return f"{root}{inside}/{plural}" + (f"/{name}" if name else "")


def impersonated(user: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The headers of a kubeconfig's `as`, `as-uid`, `as-groups` and `as-user-extra`; a name stands once for each of its values."""
    found = [(f"Impersonate-{name}", str(user[key])) for key, name in (("as", "User"), ("as-uid", "Uid")) if user.get(key)]
    found += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or []]
    extra = user.get("as-user-extra") or {}
    return found + [(f"Impersonate-Extra-{quote(key.lower(), safe='')}", str(each)) for key, values in extra.items() for each in values]


def refusal(status: int, body: bytes) -> Refused:
    """What a body says that came with a status of refusal: a `Status` object, or plain words."""
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return Refused(status, body.decode(errors="replace").strip() or f"HTTP {status}")
    return Refused(status, str(told.get("message") or f"HTTP {status}"), str(told.get("reason", "")), told.get("details"))


def events(pieces: Iterable[bytes]) -> Iterator[Object]:
    """The events of a watch, whose answer comes in pieces; without bookmarks, which only show that it is alive.

    Raises:
        Refused: the watch has to begin anew, with a list.
    """
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for event in (json.loads(line) for line in lines if line.strip()):
            if event["type"] == "ERROR":
                raise Refused(int(event["object"].get("code", GONE)), str(event["object"].get("message", "")))
            if event["type"] != "BOOKMARK":
                yield event
