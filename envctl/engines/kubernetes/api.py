"""Requests to the API server, with objects as plain JSON.

The SDK's models would need a class for each kind of object, and a tenth of a millisecond for each field.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode

import urllib3

from envctl.engines.kubernetes.access import Access, access
from envctl.engines.kubernetes.contexts import Context
from envctl.errors import EngineMissing, EnvctlError, UsageError, did_you_mean
from envctl.keeper.cluster.protocol import CLUSTER_WIDE, Object, events, path_of, refusal

MANAGER = "envctl"
CONNECT, ANSWER, CHANGE = 5.0, 10.0, 60.0
"""The seconds that an API server may take to accept a connection, to answer a read, and to answer a change."""
OURS = frozenset([
    ("v1", "Namespace"), ("v1", "Pod"), ("v1", "Service"), ("v1", "ConfigMap"), ("v1", "Secret"), ("v1", "ServiceAccount"), ("v1", "Event"),
    ("v1", "ResourceQuota"), ("v1", "LimitRange"), ("apps/v1", "Deployment"), ("batch/v1", "Job"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("networking.k8s.io/v1", "Ingress"), ("gateway.networking.k8s.io/v1", "HTTPRoute"), ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"), ("batch/v1", "CronJob"), ("coordination.k8s.io/v1", "Lease"),
])  # fmt: skip
"""The API versions and kinds whose paths are known, so that the cluster need not be asked for them."""


RIGHTS = "`envctl cluster install --print` shows the rights that an account needs; `envctl doctor` says which are missing"


class ApiError(EnvctlError):
    """A refusal by the API server, with its own message, the HTTP *status*, and the *reason* of the Kubernetes API."""

    def __init__(self, status: int, message: str, reason: str = "") -> None:
        super().__init__(message, hint=RIGHTS if status == 403 and " cannot " in message else "")
        self.status, self.reason = status, reason


@dataclass
class Api:
    """One cluster, accessed as one user."""

    context: Context
    access: Access
    retries: urllib3.Retry = field(default_factory=lambda: _retrying())
    _resources: dict[str, list[Object]] = field(default_factory=dict)
    """API version to the resources that the cluster has in this version."""

    def request(self, method: str, path: str, body: Any = None, content: str = "application/json", **query: str) -> Any:
        """Send a request, and return the JSON of the answer; None if the answer is empty.

        Raises:
            ApiError: the API server refuses the request.
            EngineMissing: the API server does not answer, or does not accept the credentials.
        """
        text = self._send(method, path, query, body, content, ANSWER if method == "GET" else CHANGE).data
        return json.loads(text) if text else None

    def _send(
        self, method: str, path: str, query: Mapping[str, str], body: Any = None, content: str = "", patience: float | None = ANSWER,
        whole: bool = True,
    ) -> Any:  # fmt: skip
        url = self.access.url + path + (f"?{urlencode(query)}" if query else "")
        headers = urllib3.HTTPHeaderDict({"Accept": "application/json", "User-Agent": "envctl"})
        for name, value in self.access.headers():
            headers.add(name, value)
        if body is not None:
            headers["Content-Type"], body = content, json.dumps(body).encode()
        timeout = urllib3.Timeout(CONNECT, read=patience)
        try:
            answer = self.access.pool.request(
                method, url, body=body, headers=headers, timeout=timeout, retries=self.retries, preload_content=whole
            )
        except urllib3.exceptions.HTTPError as error:
            raise _unreachable(self.context, error) from None
        if answer.status >= 400:
            told = refusal(answer.status, answer.data)
            if answer.status == 401:
                hint = "log in again; the kubeconfig's credentials are refused"
                raise EngineMissing(f"the cluster of context {self.context.name} does not accept these credentials: {told}", hint=hint)
            raise ApiError(answer.status, str(told), told.reason)
        return answer

    def pieces(self, path: str, patience: float | None, **query: str) -> Iterator[bytes]:
        """Yield the bytes of an answer as they arrive; raise the errors of `request`."""
        with closing(self.stream(path, patience, **query)) as answer:
            try:
                yield from answer.stream(65536, decode_content=True)
            except urllib3.exceptions.HTTPError as error:
                raise _unreachable(self.context, error) from None

    def stream(self, path: str, patience: float | None = None, **query: str) -> Any:
        """Return an answer that continues: iterate over its `stream()`, and end it with `hang_up` from another thread.

        Args:
            patience: the seconds without a byte after which the answer ends with an error; None waits forever.

        Raises:
            ApiError, EngineMissing: as `request`.
        """
        return self._send("GET", path, query, patience=patience, whole=False)

    def fetch(self, path: str, **query: str) -> Any:
        """Return the JSON of a resource, as `PodWatch` needs it; raise the errors of `request`."""
        return self.request("GET", path, **query)

    def watch(
        self, path: str, silence: float, opened: Callable[[Callable[[], None]], None] = lambda hang_up: None, **query: str
    ) -> Iterator[Object]:
        """Yield the events of a watch, as `PodWatch` needs them.

        Args:
            silence: the seconds without an event after which the watch ends with an error.
            opened: gets a function that ends the watch from another thread.

        Raises:
            ApiError, EngineMissing: as `request`.
        """
        answer = self.stream(path, silence, watch="true", **query)
        opened(lambda: hang_up(answer))
        yield from events(answer.stream(65536, decode_content=True))

    def apply(self, item: Object) -> Object:
        """Create or update an object by server-side apply, and return it. Changes by others to fields that envctl sets are reverted."""
        meta = item["metadata"]
        path = self.path(item["apiVersion"], item["kind"], meta.get("namespace"), meta["name"])
        found: Object = self.request("PATCH", path, item, "application/apply-patch+yaml", fieldManager=MANAGER, force="true")
        return found

    def create(self, item: Object) -> Object:
        """Create an object, and return it.

        Raises:
            ApiError: the API server refuses it, with status 409 if an object with this name exists.
        """
        path = self.path(item["apiVersion"], item["kind"], item["metadata"].get("namespace"))
        return dict(self.request("POST", path, item, fieldManager=MANAGER))

    def get(self, version: str, kind: str, namespace: str | None, name: str) -> Object | None:
        """Return an object; None if it does not exist."""
        with Ignoring(404):
            return dict(self.request("GET", self.path(version, kind, namespace, name)))
        return None

    def list(self, version: str, kind: str, namespace: str | None = None, selector: str = "", **query: str) -> list[Object]:
        """Return the objects of a kind that match the label selector *selector*; without a namespace, those of the whole cluster."""
        given = {**query, **({"labelSelector": selector} if selector else {})}
        answer = self.request("GET", self.path(version, kind, namespace), **given)
        return [{"apiVersion": version, "kind": kind, **item} for item in answer.get("items") or []]

    def delete(
        self, version: str, kind: str, namespace: str | None, name: str, grace: int | None = None, uid: str = "", seen: str = ""
    ) -> None:
        """Delete an object, if it exists. The cluster removes its dependants in the background, since no caller waits for them.

        Args:
            grace: the seconds that its containers may take to stop; None leaves this to the object.
            uid: delete the object only if it has this uid.
            seen: delete the object only if its resource version is still this one.
        """
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        # Since it was read, the object may have been changed, or replaced by another one with the same name.
        conditions = {"uid": uid, "resourceVersion": seen}
        if told := {key: value for key, value in conditions.items() if value}:
            options["preconditions"] = told
        with Ignoring(404):
            self.request("DELETE", self.path(version, kind, namespace, name), options)

    def path(self, version: str, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        """Return the path of a resource; without *name*, the path of its collection.

        For kinds that envctl does not render itself, the cluster is asked for the name of the resource.

        Raises:
            UsageError: the cluster does not have this kind, or the kind does not belong to namespaces.
        """
        if (version, kind) in OURS or kind in CLUSTER_WIDE:
            return path_of(version, kind, namespace, name)
        found = {each["kind"]: each for each in self._resources_of(version) if "/" not in each["name"]}
        if kind not in found:
            hint = did_you_mean(kind, list(found)) if found else "`kubectl api-resources` shows what it has"
            raise UsageError(f"the cluster of {self.context.name} has no {kind} of {version}", hint=hint)
        if namespace and not found[kind].get("namespaced"):
            raise UsageError(
                f"a {kind} of {version} belongs to the whole cluster, so no instance can have its own", hint="create it in another way"
            )
        return path_of(version, kind, namespace, name, found[kind]["name"])

    def _resources_of(self, version: str) -> Sequence[Object]:
        if version not in self._resources:
            found: Object = {}
            with Ignoring(404):
                found = self.request("GET", f"/api/{version}" if "/" not in version else f"/apis/{version}")
            self._resources[version] = list(found.get("resources") or [])
        return self._resources[version]


class Ignoring:
    """A context that ignores refusals with the given HTTP statuses, for objects that may not exist, or that the user may not read."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = statuses

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, ApiError) and error.status in self._statuses


class _Retry(urllib3.Retry):
    """A retry policy: a request whose answer times out is not repeated, and a connection that times out is tried three times in all."""

    def increment(self, method: Any = None, url: Any = None, response: Any = None, error: Any = None, *rest: Any, **more: Any) -> Self:
        silent = isinstance(error, urllib3.exceptions.TimeoutError) and not isinstance(error, urllib3.exceptions.NewConnectionError)
        if silent and (len(self.history) > 1 or not isinstance(error, urllib3.exceptions.ConnectTimeoutError)):
            raise error
        return super().increment(method, url, response, error, *rest, **more)


LONG, SHORT = 10, 2
"""The numbers of retries. A server that is being replaced is away for about ten seconds; one that has never answered may not exist."""


def _retrying(times: int = LONG) -> _Retry:
    """Return the retry policy for all requests: server-side applies, deletes and reads can be repeated safely."""
    return _Retry(
        total=times, connect=times, read=times, redirect=0, status_forcelist=(429, 502, 503, 504), allowed_methods=None, backoff_factor=0.2,
        backoff_max=2.0, raise_on_status=False,
    )  # fmt: skip


def _unreachable(context: Context, error: Exception) -> EngineMissing:
    why = str(getattr(error, "reason", None) or error)
    if "object at 0x" in why:
        why = why.rpartition(": ")[2]
    hint = "check the cluster and `kubectl --context` with the same context; `envctl doctor` says what works here"
    return EngineMissing(f"the Kubernetes API of context {context.name} does not answer at {context.server}: {why}", hint=hint)


def connect(context: Context, environ: Mapping[str, str]) -> Api:
    """Return the API of the cluster of *context*, once it has answered a first request.

    Raises:
        EngineMissing: the API server does not answer, or does not accept the credentials.
    """
    api = Api(context, access(context, environ), _retrying(SHORT))
    try:
        api.request("GET", "/version")
    except ApiError as error:
        if error.status != 403:
            raise EngineMissing(f"the Kubernetes API of context {context.name} answers: {error.message}") from None
    api.retries = _retrying()
    return api


def hang_up(answer: Any) -> None:
    """End an answer that another thread reads. (`close` would wait for that thread.)"""
    stream = getattr(answer.connection, "sock", None)
    if stream is not None:
        with suppress(OSError):
            stream.shutdown(socket.SHUT_RDWR)
