"""The rights in a new namespace, where its maker has none yet: a RoleBinding to the ClusterRole that `envctl cluster install` has made."""

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
"""Seconds until every part of the API server knows of a new binding."""
SERVICE_ACCOUNT = "system:serviceaccount:"
T = TypeVar("T")


@dataclass
class Binding:
    """Of the namespace *namespace*, which is an instance's own; made when the first thing there is refused, once."""

    api: Api
    namespace: str
    role: str = ROLE
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _made: bool = False

    def with_rights(self, what: Callable[[], T]) -> T:
        """*what*, done again once the rights for it are there.

        Raises:
            ApiError: also when the binding may not be made: then it is the first refusal.
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
    """One for each user: who adopts an instance with another account does not take the rights of the first."""
    name = f"envctl-{hashlib.sha256(user.encode()).hexdigest()[:10]}"
    meta = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "envctl"}}
    role_ref = {"apiGroup": GROUP, "kind": "ClusterRole", "name": role}
    return {"apiVersion": f"{GROUP}/v1", "kind": "RoleBinding", "metadata": meta, "roleRef": role_ref, "subjects": [_subject(user)]}


def _subject(user: str) -> Mapping[str, str]:
    if user.startswith(SERVICE_ACCOUNT):
        namespace, _, name = user.removeprefix(SERVICE_ACCOUNT).partition(":")
        return {"kind": "ServiceAccount", "namespace": namespace, "name": name}
    return {"kind": "User", "apiGroup": GROUP, "name": user}
