"""A daemon that answers: through the SDK (a client for each thread), or lightly, with the standard library."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from envctl.engines.docker.api import ApiError, Daemon, Endpoint
from envctl.engines.docker.contexts import find_endpoint
from envctl.errors import EngineMissing

if TYPE_CHECKING:
    from docker import APIClient

TIMEOUT = 60
NEWEST_API = (1, 44)
"""What we were written against; an older daemon speaks its own version."""
LOOPBACK = ("127.0.0.1", "localhost", "::1", "")
NOT_THERE = (
    "start it (Docker Desktop, or `sudo systemctl start docker`), check DOCKER_HOST and `docker context ls`; "
    "`envctl doctor` says what works here"
)


@dataclass
class Connection:
    """How to reach one daemon."""

    endpoint: Endpoint
    context: str | None
    daemon: Daemon
    version: str
    _local: threading.local = field(default_factory=threading.local)

    @property
    def api(self) -> APIClient:
        """The SDK's client of this thread."""
        client: APIClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._connect()
        return client

    def _connect(self) -> APIClient:
        from docker import APIClient

        host, ssh = self.endpoint.host, self.endpoint.host.startswith("ssh")
        return APIClient(base_url=host, tls=self._tls() or False, version=self.version, timeout=TIMEOUT, use_ssh_client=ssh)

    def _tls(self) -> Any:
        if self.endpoint.tls is None:
            return None
        from docker.tls import TLSConfig

        folder = Path(self.endpoint.tls)
        pair = (str(folder / "cert.pem"), str(folder / "key.pem")) if (folder / "cert.pem").exists() else None
        return TLSConfig(client_cert=pair, ca_cert=str(folder / "ca.pem"), verify=self.endpoint.verify)

    @property
    def hostname(self) -> str:
        """The daemon's machine; empty where it is this one."""
        parts = urlsplit(self.endpoint.host)
        if parts.scheme in ("unix", "npipe") or parts.hostname in LOOPBACK:
            return ""
        return parts.hostname or ""

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """*environ* for Docker's own programs, so that they talk to the same daemon."""
        env = {key: value for key, value in environ.items() if key != "DOCKER_CONTEXT"}
        if self.context is None:
            return env
        named = {"DOCKER_HOST" if "://" in self.context else "DOCKER_CONTEXT": self.context}
        return {key: value for key, value in env.items() if key != "DOCKER_HOST"} | named


def connect(context: str | None, environ: Mapping[str, str]) -> Connection:
    """A connection that works.

    Raises:
        EngineMissing: there is no daemon, or it does not answer.
    """
    endpoint, name = find_endpoint(context, environ)
    daemon = Daemon(endpoint, TIMEOUT)
    try:
        found = daemon.get("/version")
    except (OSError, ApiError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise EngineMissing(f"Docker does not answer at {endpoint.host}: {why}", hint=NOT_THERE) from None
    version = min(tuple(map(int, found["ApiVersion"].split("."))), NEWEST_API)
    return Connection(endpoint, name, daemon, ".".join(map(str, version)))
