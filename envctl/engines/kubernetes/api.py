"""The API server: plain JSON objects, as we render them.

The SDK's models would cost a class per object and a tenth of a millisecond per field.
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
"""Seconds that an API server may say nothing: before it is connected, to a question, and while it changes something."""
OURS = frozenset([
    ("v1", "Namespace"), ("v1", "Pod"), ("v1", "Service"), ("v1", "ConfigMap"), ("v1", "Secret"), ("v1", "ServiceAccount"), ("v1", "Event"),
    ("v1", "ResourceQuota"), ("v1", "LimitRange"), ("apps/v1", "Deployment"), ("batch/v1", "Job"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("networking.k8s.io/v1", "Ingress"), ("gateway.networking.k8s.io/v1", "HTTPRoute"), ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"), ("batch/v1", "CronJob"), ("coordination.k8s.io/v1", "Lease"),
])  # fmt: skip
"""Versions and kinds whose paths need not be asked for."""


RIGHTS = "`envctl cluster install --print` shows the rights that an account needs; `envctl doctor` says which are missing"


class ApiError(EnvctlError):
    """The API server refused; the text is its own."""

    def __init__(self, status: int, message: str, reason: str = "") -> None:
        super().__init__(message, hint=RIGHTS if status == 403 and " cannot " in message else "")
        self.status, self.reason = status, reason


@dataclass
class Api:
    """One cluster, as one user."""

    context: Context
    access: Access
    retries: urllib3.Retry = field(default_factory=lambda: _retrying())
    _resources: dict[str, list[Object]] = field(default_factory=dict)
    """What the cluster has, by version."""

    def request(self, method: str, path: str, body: Any = None, content: str = "application/json", **query: str) -> Any:
        """The answer's JSON.

        Raises:
            ApiError: it was refused.
            EngineMissing: nobody answers, or nobody knows us.
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
        """An answer's bytes as they come; errors are those of `request`."""
        with closing(self.stream(path, patience, **query)) as answer:
            try:
                yield from answer.stream(65536, decode_content=True)
            except urllib3.exceptions.HTTPError as error:
                raise _unreachable(self.context, error) from None

    def stream(self, path: str, patience: float | None = None, **query: str) -> Any:
        """An answer that goes on: iterate its `stream()`, close it from another thread to end.

        Args:
            patience: seconds without a byte after which it ends with an error; None for ever.
        """
        return self._send("GET", path, query, patience=patience, whole=False)

    def fetch(self, path: str, **query: str) -> Any:
        """As `PodWatch` wants it; errors are those of `request`."""
        return self.request("GET", path, **query)

    def watch(
        self, path: str, silence: float, opened: Callable[[Callable[[], None]], None] = lambda hang_up: None, **query: str
    ) -> Iterator[Object]:
        """As `PodWatch` wants it."""
        answer = self.stream(path, silence, watch="true", **query)
        opened(lambda: hang_up(answer))
        yield from events(answer.stream(65536, decode_content=True))

    def apply(self, item: Object) -> Object:
        """Server-side apply; what somebody else has changed in our fields is taken back."""
        meta = item["metadata"]
        path = self.path(item["apiVersion"], item["kind"], meta.get("namespace"), meta["name"])
        found: Object = self.request("PATCH", path, item, "application/apply-patch+yaml", fieldManager=MANAGER, force="true")
        return found

    def create(self, item: Object) -> Object:
        """Raises ApiError: 409 where there is one of that name."""
        path = self.path(item["apiVersion"], item["kind"], item["metadata"].get("namespace"))
        return dict(self.request("POST", path, item, fieldManager=MANAGER))

    def get(self, version: str, kind: str, namespace: str | None, name: str) -> Object | None:
        with Ignoring(404):
            return dict(self.request("GET", self.path(version, kind, namespace, name)))
        return None

    def list(self, version: str, kind: str, namespace: str | None = None, selector: str = "", **query: str) -> list[Object]:
        given = {**query, **({"labelSelector": selector} if selector else {})}
        answer = self.request("GET", self.path(version, kind, namespace), **given)
        return [{"apiVersion": version, "kind": kind, **item} for item in answer.get("items") or []]

    def delete(
        self, version: str, kind: str, namespace: str | None, name: str, grace: int | None = None, uid: str = "", seen: str = ""
    ) -> None:
        """Foreground is for whoever waits: here dependants go by the garbage collector. What is gone already is fine."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        # Not one of the same name that somebody has made since, and where it was *seen* none that somebody has changed.
        conditions = {"uid": uid, "resourceVersion": seen}
        if told := {key: value for key, value in conditions.items() if value}:
            options["preconditions"] = told
        with Ignoring(404):
            self.request("DELETE", self.path(version, kind, namespace, name), options)

    def path(self, version: str, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        """Of a resource, or of its collection; how a kind is called there, and whether it is in namespaces, the cluster says.

        Raises:
            UsageError: it has no such kind, or not in namespaces.
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
    """What is refused with one of those statuses is left undone without a word: it is not there, or may not be seen."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = statuses

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, ApiError) and error.status in self._statuses


class _Retry(urllib3.Retry):
    """Whoever has said nothing to a question for so long is not asked once more, and to a greeting once."""

    def increment(self, method: Any = None, url: Any = None, response: Any = None, error: Any = None, *rest: Any, **more: Any) -> Self:
        silent = isinstance(error, urllib3.exceptions.TimeoutError) and not isinstance(error, urllib3.exceptions.NewConnectionError)
        if silent and (len(self.history) > 1 or not isinstance(error, urllib3.exceptions.ConnectTimeoutError)):
            raise error
        return super().increment(method, url, response, error, *rest, **more)


LONG, SHORT = 10, 2
"""An API server that is replaced is away for some ten seconds; one that has never answered may not be there."""


def _retrying(times: int = LONG) -> _Retry:
    """Every request of ours can be made twice: server-side apply, deletes and reads."""
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
    """An API server that answers to somebody who may ask.

    Raises:
        EngineMissing: it does not answer, or does not know us.
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
    """Ends an answer that another thread reads: `close` would wait for that thread."""
    stream = getattr(answer.connection, "sock", None)
    if stream is not None:
        with suppress(OSError):
            stream.shutdown(socket.SHUT_RDWR)
