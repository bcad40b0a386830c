"""The choice of a daemon, by the rules of Docker's own client, and the connection to it: the SDK (a client per thread), or plain HTTP."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from envctl.engines.docker.api import NOT_ALLOWED, NOT_THERE, ApiError, Daemon, Endpoint
from envctl.errors import EngineMissing, did_you_mean

if TYPE_CHECKING:
    from docker import APIClient

DEFAULT = "unix:///var/run/docker.sock"
TIMEOUT = 60
NEWEST_API = (1, 44)
"""The API version that envctl was written for; with an older daemon, its own version is used."""
LOOPBACK = ("127.0.0.1", "localhost", "::1", "")
CONFIGURATION = "check `auths` in config.json (of DOCKER_CONFIG, or ~/.docker), and the certificates in DOCKER_CERT_PATH"


class _Errors:
    """The SDK's exceptions, imported only when an exception is handled: importing the SDK takes 0.13 s."""

    def __getattr__(self, name: str) -> Any:
        from docker import errors

        return getattr(errors, name)


sdk_errors: Any = _Errors()
"""The SDK's exceptions, for `except sdk_errors.APIError`."""


def import_sdk() -> None:
    """Import the SDK; run this in a thread, so that later code does not wait for the import."""
    import docker  # noqa: F401


@dataclass
class Connection:
    """A connection to one daemon."""

    endpoint: Endpoint
    context: str | None
    daemon: Daemon
    version: str
    environ: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The environment variables of the caller, for the Docker program on a terminal."""
    _local: threading.local = field(default_factory=threading.local)

    @property
    def api(self) -> APIClient:
        """The SDK's client of this thread.

        Raises:
            EngineMissing: Docker's configuration or a certificate is invalid.
        """
        client: APIClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._connect()
        return client

    def _connect(self) -> APIClient:
        from docker import APIClient

        host, ssh = self.endpoint.host, self.endpoint.host.startswith("ssh")
        try:
            client = APIClient(base_url=host, tls=self._tls() or False, version=self.version, timeout=TIMEOUT, use_ssh_client=ssh)
        except (sdk_errors.TLSParameterError, ValueError, AttributeError) as error:
            # The SDK reads the whole configuration without validating it, hence such different errors.
            why = str(error).partition(" TLS configurations")[0].rstrip(".")
            raise EngineMissing(f"Docker's configuration cannot be used: {why}", hint=CONFIGURATION) from None
        client.trust_env = False  # HTTP_PROXY is for other hosts; `Daemon` does not use it either
        return client

    def _tls(self) -> Any:
        if self.endpoint.tls is None:
            return None
        from docker.tls import TLSConfig

        folder = Path(self.endpoint.tls)
        pair = (str(folder / "cert.pem"), str(folder / "key.pem")) if (folder / "cert.pem").exists() else None
        return TLSConfig(client_cert=pair, ca_cert=str(folder / "ca.pem"), verify=self.endpoint.verify)

    @property
    def hostname(self) -> str:
        """The host name of the daemon's machine; empty if it is this machine."""
        parts = urlsplit(self.endpoint.host)
        host = parts.hostname or ""
        return "" if parts.scheme in ("unix", "npipe") or host in LOOPBACK else host

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return *environ* for Docker's own programs, changed so that they use the same daemon."""
        env = {key: value for key, value in environ.items() if key != "DOCKER_CONTEXT"}
        if self.context is None:
            return env
        named = {"DOCKER_HOST" if "://" in self.context else "DOCKER_CONTEXT": self.context}
        return {key: value for key, value in env.items() if key != "DOCKER_HOST"} | named


def connect(context: str | None, environ: Mapping[str, str]) -> Connection:
    """Connect to the daemon, and check that it answers.

    Raises:
        EngineMissing: there is no daemon, or it does not answer.
    """
    endpoint, name = find_endpoint(context, environ)
    daemon = Daemon(endpoint)
    try:
        found = daemon.get("/version")
    except (OSError, ApiError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise EngineMissing(f"this user may not use Docker at {endpoint.host}: permission denied", hint=NOT_ALLOWED) from None
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise EngineMissing(f"Docker does not answer at {endpoint.host}: {why}", hint=NOT_THERE) from None
    daemon.met = True
    version = min(tuple(map(int, found["ApiVersion"].split("."))), NEWEST_API)
    return Connection(endpoint, name, daemon, ".".join(map(str, version)), environ)


def find_endpoint(context: str | None, environ: Mapping[str, str]) -> tuple[Endpoint, str | None]:
    """Return the daemon's endpoint, and the context that names it (None if no context was chosen).

    Args:
        context: the name of a context, or a daemon's URL: an instance's record stores the value of DOCKER_HOST in this form.

    Raises:
        EngineMissing: there is no such context.
    """
    if context is None and environ.get("DOCKER_HOST"):
        return _of_url(environ["DOCKER_HOST"], environ), None
    if context is not None and "://" in context:
        return _of_url(context, environ), context
    name = context or environ.get("DOCKER_CONTEXT") or str(_json(config_folder(environ) / "config.json").get("currentContext") or "default")
    if name == "default":
        return Endpoint(DEFAULT), context
    return _of_context(name, environ), name


def _of_url(url: str, environ: Mapping[str, str]) -> Endpoint:
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    secure = verify or environ.get("DOCKER_TLS")
    folder = environ.get("DOCKER_CERT_PATH") or str(config_folder(environ))
    return Endpoint(url if "://" in url else f"tcp://{url}", folder if secure else None, verify)


def config_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of Docker's configuration."""
    return Path(environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"))  # without a home folder, `~` stays in the path


def _of_context(name: str, environ: Mapping[str, str]) -> Endpoint:
    folder, digest = config_folder(environ) / "contexts", hashlib.sha256(name.encode()).hexdigest()
    meta = _json(folder / "meta" / digest / "meta.json")
    if not meta:
        known = [str(_json(path).get("Name")) for path in folder.glob("meta/*/meta.json")]
        raise EngineMissing(f"there is no Docker context '{name}'", hint=did_you_mean(name, ["default", *known]))
    docker = meta.get("Endpoints", {}).get("docker", {})
    tls = folder / "tls" / digest / "docker"
    return Endpoint(docker.get("Host") or DEFAULT, str(tls) if tls.is_dir() else None, not docker.get("SkipTLSVerify"))


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
