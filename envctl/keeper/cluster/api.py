"""A client of the Kubernetes API server that needs only the standard library.

Its address and credentials come from a kubeconfig and are given as JSON, with certificates and keys as text:

{"server": url, "ca": pem or null, "insecure": bool, "tls_server_name", "cert": pem, "key": pem, "token", "user", "password",
 "token_file": path, "proxy": url, "impersonate": {"as", "as-uid", "as-groups", "as-user-extra"},
 "exec": {"command": [...], "env": {...}, "api_version"}}
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from envctl.keeper.cluster.protocol import Object, Refused, events, impersonated, refusal
from envctl.keeper.cluster.proxy import basic, through

CONNECT = 10.0
"""Seconds to wait for a connection, and for the response to `fetch`."""
CHUNK = 1 << 16
PLUGIN = 60.0
"""Seconds that a credential plugin may take."""
EARLY = 30.0
"""Seconds before a plugin's credentials expire at which the plugin is run again."""
Run = Callable[[Sequence[str], Mapping[str, str], float], "subprocess.CompletedProcess[bytes]"]
"""Runs a program: its command, the variables that are added to its environment, and the seconds that it may take."""


class Cluster:
    """An API server with the credentials of one user; for any number of threads.

    Args:
        told: the address and the credentials, as the module's docstring describes them.
        run: runs the credential plugin.
    """

    def __init__(self, told: dict[str, Any], run: Run) -> None:
        self.told, self._run = told, run
        parts = urlsplit(told["server"])
        self.secure, self.host = parts.scheme != "http", parts.hostname or ""
        self.port = parts.port or (443 if self.secure else 80)
        self.base = parts.path.rstrip("/")
        self._lock = threading.Lock()
        self._given: dict[str, Any] = {}
        self._until = 0.0
        self._tls: ssl.SSLContext | None = None
        self._resumable: ssl.SSLSession | None = None

    def renew(self, told: dict[str, Any]) -> None:
        """Use other credentials for the same server from the next connection on."""
        with self._lock:
            self.told, self._given, self._until, self._tls = told, {}, 0.0, None

    def connect(self) -> socket.socket:
        """Open a connection to the API server, with TLS and through a proxy if the kubeconfig says so.

        Raises:
            OSError: the connection fails.
            Refused: the proxy refuses the connection (502), or the plugin gives no credentials (401).
        """
        stream = self._stream()
        if not self.secure:
            return stream
        try:
            context, session = self._context()
            return context.wrap_socket(stream, server_hostname=self.told.get("tls_server_name") or self.host, session=session)
        except BaseException:
            stream.close()
            raise

    def remember(self, stream: socket.socket) -> None:
        """Let later connections resume the TLS session of *stream*. With TLS 1.3, call this after something was read from it."""
        if isinstance(stream, ssl.SSLSocket):
            with self._lock:
                self._resumable = stream.session if stream.context is self._tls else None

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS settings for other connections to the API server; None if it is reached without TLS.

        Raises:
            Refused: the plugin gives no credentials (401).
        """
        return self._context()[0] if self.secure else None

    def _stream(self) -> socket.socket:
        proxy = self.told.get("proxy")
        return _alert(through(proxy, self.host, self.port, CONNECT) if proxy else socket.create_connection((self.host, self.port), CONNECT))

    def _context(self) -> tuple[ssl.SSLContext, ssl.SSLSession | None]:
        """Return the TLS context, which all connections share, and the session that can be resumed."""
        with self._lock:
            given = self._credentials()
            if self._tls is None:
                self._tls, self._resumable = self._make_context(given), None
            return self._tls, self._resumable

    def _make_context(self, given: dict[str, Any]) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.told.get("ca") or None)
        # Python 3.13 sets this flag by default, but the certificates of clusters often lack the extensions that it requires.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.told.get("insecure"):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        cert, key = given.get("cert") or self.told.get("cert"), given.get("key") or self.told.get("key")
        if cert and key:
            _load_pair(context, cert, key)
        return context

    def _credentials(self) -> dict[str, Any]:
        """Return the plugin's credentials, running the plugin again when they are about to expire. The caller holds the lock."""
        if not self.told.get("exec") or (self._given and time.time() < self._until):
            return self._given
        status = _ask_plugin(self.told["exec"], _shown(self.told), self._run)
        self._given = {"token": status.get("token"), "cert": status.get("clientCertificateData"), "key": status.get("clientKeyData")}
        self._until = _end_of(status) - EARLY
        self._tls = None
        return self._given

    def headers(self) -> list[tuple[str, str]]:
        """Return the headers that authenticate a request and name the impersonated user. A header name may occur several times.

        Raises:
            Refused: the plugin gives no credentials (401).
        """
        with self._lock:
            token = self._credentials().get("token") or self._token_of_file() or self.told.get("token")
        user, password = self.told.get("user"), self.told.get("password")
        said = f"Bearer {token}" if token else basic(user, password) if user and password else ""
        return [*([("Authorization", said)] if said else []), *impersonated(self.told.get("impersonate") or {})]

    def _token_of_file(self) -> str:
        """Return the token in the token file, or "". The file is read each time, as Kubernetes replaces the token before it expires."""
        with suppress(OSError):
            if path := self.told.get("token_file"):
                with open(path, encoding="utf-8") as stream:
                    return stream.read().strip()
        return ""

    def forget_credentials(self) -> None:
        """Discard the plugin's credentials, because the API server has refused them."""
        with self._lock:
            self._given = {}

    @property
    def authority(self) -> str:
        """The host and the port, as in a `Host` header."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def open(self, path: str, timeout: float | None, **query: str) -> tuple[http.client.HTTPResponse, socket.socket]:
        """Send a GET request; return the response, which the caller reads and closes, and its stream.

        Args:
            path: the path of a resource, without the base path of the API server.
            timeout: seconds to wait for data; None for no limit.
            query: the query parameters.

        Raises:
            OSError, http.client.HTTPException: the connection fails.
            Refused: the status is not 200, or there are no credentials.
        """
        connection = http.client.HTTPConnection(self.host, self.port)
        connection.sock = stream = self.connect()
        stream.settimeout(timeout)
        target = f"{self.base}{path}" + (f"?{urlencode(query)}" if query else "")
        # With `close`, the response owns the stream and closes it.
        headers = [("Host", self.authority), ("Accept", "application/json"), ("Connection", "close"), *self.headers()]
        try:
            connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
        except BaseException:
            stream.close()
            raise
        if answer.status != 200:
            words = answer.read(65536)
            connection.close()
            if answer.status == 401:
                self.forget_credentials()
            raise refusal(answer.status, words)
        return answer, stream

    def fetch(self, path: str, **query: str) -> Any:
        """Return the JSON of a resource, as `Transport` describes. It raises what `open` raises, and ValueError for invalid JSON."""
        answer, stream = self.open(path, CONNECT, **query)
        with stream, answer:
            return json.loads(answer.read())

    def watch(self, path: str, silence: float, opened: Callable[[Callable[[], None]], None], **query: str) -> Iterator[Object]:
        """Yield the events of a watch, as `Transport` describes. It raises what `open` raises."""
        answer, stream = self.open(path, silence, watch="true", **query)
        with stream, answer:
            opened(lambda: _hang_up(stream))
            yield from events(iter(lambda: answer.read1(CHUNK), b""))


def _hang_up(stream: socket.socket) -> None:
    """End a response that another thread reads."""
    with suppress(OSError):  # the response has already ended
        stream.shutdown(socket.SHUT_RDWR)


def _alert(stream: socket.socket) -> socket.socket:
    """Send small messages without delay, and detect a peer that vanished without closing (sleep, a router) within a minute."""
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            stream.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return stream


def _end_of(status: dict[str, Any]) -> float:
    """Return the time at which a plugin's credentials expire, in seconds since 1970; infinity if the plugin names none."""
    ends = status.get("expirationTimestamp")
    try:
        return datetime.fromisoformat(ends).timestamp() if ends else float("inf")
    except (TypeError, ValueError):
        raise Refused(401, f"the plugin's credentials have an invalid expiry time: {ends}") from None


def _load_pair(context: ssl.SSLContext, cert: str, key: str) -> None:
    """Load a certificate and its key through temporary files, which are private and removed at once. OpenSSL reads only files."""
    with tempfile.NamedTemporaryFile("w") as certs, tempfile.NamedTemporaryFile("w") as keys:
        for stream, text in ((certs, cert), (keys, key)):
            stream.write(text)
            stream.flush()
        context.load_cert_chain(certs.name, keys.name)


def _shown(told: dict[str, Any]) -> dict[str, Any]:
    """Return the description of the cluster that a credential plugin receives."""
    found = {"server": told["server"], "tls-server-name": told.get("tls_server_name"), "proxy-url": told.get("proxy")}
    found |= {
        "insecure-skip-tls-verify": told.get("insecure"),
        "certificate-authority-data": base64.b64encode((told.get("ca") or "").encode()).decode(),
    }
    return {key: value for key, value in found.items() if value}


def _ask_plugin(told: dict[str, Any], cluster: dict[str, Any], run: Run) -> dict[str, Any]:
    """Run a credential plugin and return the status with the credentials.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
    """
    version = told.get("api_version") or "client.authentication.k8s.io/v1"
    asked = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False, "cluster": cluster}}
    env = {**told.get("env", {}), "KUBERNETES_EXEC_INFO": json.dumps(asked)}
    try:
        done = run(told["command"], env, PLUGIN)
        answer = json.loads(done.stdout) if done.returncode == 0 else {}
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise Refused(401, f"{told['command'][0]} returned no credentials: {error}") from None
    status = answer.get("status") if isinstance(answer, dict) else None
    if not isinstance(status, dict):
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise Refused(401, f"{told['command'][0]} returned no credentials: {words[-1] if words else f'exit {done.returncode}'}")
    return status
