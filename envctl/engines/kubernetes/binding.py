"""The user's rights in a namespace that envctl has just created: a RoleBinding to the ClusterRole that `envctl cluster install` creates."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from envctl.engines.kubernetes.api import Api, ApiError

ROLE = "envctl-system-instance"
GROUP = "rbac.authorization.k8s.io"
HEARD = 10.0
"""The seconds until a new RoleBinding is in effect in every part of the API server."""
SERVICE_ACCOUNT = "system:serviceaccount:"
T = TypeVar("T")


@dataclass
class Binding:
    """The RoleBinding in an instance's own namespace. It is created once, when the first request there is refused."""

    api: Api
    namespace: str
    role: str = ROLE
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _made: bool = False

    def with_rights(self, what: Callable[[], T]) -> T:
        """Return the result of *what*. If the user lacks the rights for it, create the RoleBinding and try again.

        Raises:
            ApiError: *what* is refused; if the RoleBinding cannot be created, this is the first refusal.
        """
        until = 0.0
        while True:
            try:
                return what()
            except ApiError as error:
                if not _lacks_rights(error) or (until and time.monotonic() > until) or not self._make():
                    raise
                until = until or time.monotonic() + HEARD
                time.sleep(0.05)

    def _make(self) -> bool:
        with self._lock:
            if not self._made:
                try:
                    self.api.apply(role_binding(self.namespace, self.role, self._whoami()))
                except ApiError:
                    return False
                self._made = True
        return True

    def _whoami(self) -> str:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = self.api.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
        return str(answer["status"]["userInfo"]["username"])


def _lacks_rights(error: ApiError) -> bool:
    return error.status == 403 and error.reason == "Forbidden" and "cannot" in error.message


def role_binding(namespace: str, role: str, user: str) -> dict[str, Any]:
    """Return a RoleBinding with a name that is unique to the user, so that a second user does not replace that of the first."""
    name = f"envctl-{hashlib.sha256(user.encode()).hexdigest()[:10]}"
    meta = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "envctl"}}
    role_ref = {"apiGroup": GROUP, "kind": "ClusterRole", "name": role}
    return {"apiVersion": f"{GROUP}/v1", "kind": "RoleBinding", "metadata": meta, "roleRef": role_ref, "subjects": [_subject(user)]}


def _subject(user: str) -> Mapping[str, str]:
    if user.startswith(SERVICE_ACCOUNT):
        namespace, _, name = user.removeprefix(SERVICE_ACCOUNT).partition(":")
        return {"kind": "ServiceAccount", "namespace": namespace, "name": name}
    return {"kind": "User", "apiGroup": GROUP, "name": user}
