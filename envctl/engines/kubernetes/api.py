"""The API server: plain JSON objects through the SDK's connection pool, which has the kubeconfig's certificates and tokens.

The SDK's models would cost a class per object and a tenth of a millisecond per field; what we render is JSON already.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import urllib3
from kubernetes import client
from kubernetes.config import ConfigException, load_incluster_config, new_client_from_config

from envctl.engines.kubernetes.contexts import IN_CLUSTER, Context, config_files
from envctl.errors import EngineMissing, EnvctlError
from envctl.keeper.cluster.protocol import Object, events, path_of, refusal

MANAGER = "envctl"
CONNECT, ANSWER = 5.0, 60.0
POOL = 32


class ApiError(EnvctlError):
    """The API server refused; the text is its own."""

    def __init__(self, status: int, message: str, reason: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.details = status, reason, details or {}


@dataclass
class Api:
    """One cluster, as one user."""

    context: Context
    client: client.ApiClient
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def request(self, method: str, path: str, body: Any = None, content: str = "application/json", **query: str) -> Any:
        """The answer's JSON.

        Raises:
            ApiError: it was refused.
            EngineMissing: nobody answers.
        """
        answer = self._send(method, path, body, content, query, urllib3.Timeout(CONNECT, read=ANSWER))
        text = answer.data
        if answer.status >= 400:
            raise _refused(answer.status, text)
        return json.loads(text) if text else None

    def _send(
        self, method: str, path: str, body: Any, content: str, query: Mapping[str, str], timeout: urllib3.Timeout, **more: Any
    ) -> Any:
        url = self.client.configuration.host + path + (f"?{_query(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "User-Agent": "envctl", **self._authentication()}
        if data is not None:
            headers["Content-Type"] = content
        try:
            return self.client.rest_client.pool_manager.request(
                method, url, body=data, headers=headers, timeout=timeout, retries=RETRIES, **more
            )
        except urllib3.exceptions.HTTPError as error:
            raise _unreachable(self.context, error) from None

    def _authentication(self) -> dict[str, str]:
        """The token, refreshed by the SDK when a plugin's has expired."""
        with self._lock:
            settings: Any = self.client.configuration.auth_settings()
        return {each["key"]: each["value"] for each in settings.values() if each.get("in") == "header" and each.get("value")}

    def text(self, path: str, **query: str) -> str:
        answer = self._send("GET", path, None, "", query, urllib3.Timeout(CONNECT, read=ANSWER))
        if answer.status >= 400:
            raise _refused(answer.status, answer.data)
        return str(answer.data.decode(errors="replace"))

    def stream(self, path: str, patience: float | None = None, **query: str) -> Any:
        """An answer that goes on: iterate its `stream()`, close it from another thread to end.

        Args:
            patience: seconds without a byte after which it ends with an error; None for ever.
        """
        answer = self._send("GET", path, None, "", query, urllib3.Timeout(CONNECT, read=patience), preload_content=False)
        if answer.status >= 400:
            text = answer.read()
            answer.release_conn()
            raise _refused(answer.status, text)
        return answer

    def fetch(self, path: str, **query: str) -> Any:
        """The JSON that is there.

        Raises:
            EnvctlError: as `request`.
        """
        return self.request("GET", path, **query)

    def watch(
        self, path: str, silence: float, opened: Callable[[Callable[[], None]], None] = lambda hang_up: None, **query: str
    ) -> Iterator[Object]:
        """The events of a watch, until it ends.

        Args:
            silence: seconds without a byte after which it ends with an error.
            opened: told how any thread can end the watch.
        """
        answer = self.stream(path, silence, watch="true", **query)
        opened(lambda: hang_up(answer))
        yield from events(answer.stream(65536, decode_content=True))

    def apply(self, item: Object) -> Object:
        """Server-side apply; what somebody else has changed in our fields is taken back."""
        meta = item["metadata"]
        path = path_of(item["apiVersion"], item["kind"], meta.get("namespace"), meta["name"])
        found: Object = self.request("PATCH", path, item, "application/apply-patch+yaml", fieldManager=MANAGER, force="true")
        return found

    def get(self, version: str, kind: str, namespace: str | None, name: str) -> Object | None:
        try:
            found: Object = self.request("GET", path_of(version, kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    def list(self, version: str, kind: str, namespace: str | None = None, selector: str = "", **query: str) -> list[Object]:
        given = {**query, **({"labelSelector": selector} if selector else {})}
        answer = self.request("GET", path_of(version, kind, namespace), **given)
        return [{"apiVersion": version, "kind": kind, **item} for item in answer.get("items") or []]

    def delete(self, version: str, kind: str, namespace: str | None, name: str, grace: int | None = None, uid: str = "") -> None:
        """Foreground is for whoever waits: here dependants go by the garbage collector. What is gone already is fine."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid:  # and not one of the same name that somebody has made since
            options["preconditions"] = {"uid": uid}
        with SuppressMissing():
            self.request("DELETE", path_of(version, kind, namespace, name), options)


class SuppressMissing(suppress):
    """For what is gone already."""

    def __init__(self) -> None:
        super().__init__(ApiError)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        return isinstance(error, ApiError) and error.status == 404


RETRIES = urllib3.Retry(
    total=3,
    connect=2,
    read=2,
    redirect=0,
    status=3,
    status_forcelist=(429, 502, 503, 504),
    allowed_methods=None,
    backoff_factor=0.2,
    raise_on_status=False,
)
"""Every request of ours can be made twice: server-side apply, deletes and reads."""


def _query(query: Mapping[str, str]) -> str:
    from urllib.parse import urlencode

    return urlencode(query)


def _refused(status: int, text: bytes) -> ApiError:
    told = refusal(status, text)
    return ApiError(status, str(told), told.reason, told.details)


def _unreachable(context: Context, error: Exception) -> EngineMissing:
    why = getattr(error, "reason", None) or error
    return EngineMissing(
        f"the Kubernetes API of context {context.name} does not answer at {context.server}: {_short(why)}",
        hint="check the cluster and `kubectl --context` with the same context; `envctl doctor` says what works here",
    )


def _short(why: object) -> str:
    text = str(why)
    return text.rpartition(": ")[2] if "object at 0x" in text else text


def connect(context: Context, environ: Mapping[str, str]) -> Api:
    """An API server that answers to somebody who may ask.

    Raises:
        EngineMissing: it does not answer, or does not know us.
    """
    api = Api(context, _client(context, environ))
    try:
        api.request("GET", "/version")
    except ApiError as error:
        if error.status == 401:
            hint = "log in again; the kubeconfig's credentials are refused"
            raise EngineMissing(f"the cluster of context {context.name} does not know us: {error.message}", hint=hint) from None
        if error.status != 403:
            raise EngineMissing(f"the Kubernetes API of context {context.name} answers: {error.message}") from None
    return api


def _client(context: Context, environ: Mapping[str, str]) -> client.ApiClient:
    configuration = client.Configuration()
    try:
        if context.name == IN_CLUSTER:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            made = client.ApiClient(configuration)
        else:
            made = new_client_from_config(config_files(environ), context.name, persist_config=False)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError, ValueError) as error:
        raise EngineMissing(f"the context {context.name} cannot be used: {error}") from None
    made.configuration.connection_pool_maxsize = POOL
    made.rest_client = client.rest.RESTClientObject(made.configuration)
    return made


def hang_up(answer: Any) -> None:
    """Ends an answer that another thread reads: `close` would wait for that thread."""
    stream = getattr(answer.connection, "sock", None)
    if stream is not None:
        with suppress(OSError):
            stream.shutdown(socket.SHUT_RDWR)
