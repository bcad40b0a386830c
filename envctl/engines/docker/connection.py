"""The daemon: found through `--context`, DOCKER_HOST, DOCKER_CONTEXT or the current context; a client for each thread."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from docker import APIClient
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.context import ContextAPI
from docker.errors import DockerException
from docker.utils import kwargs_from_env

from envctl.errors import EngineMissing

TIMEOUT = 60
LOOPBACK = ("127.0.0.1", "localhost", "::1", "")
NOT_THERE = (
    "start it (Docker Desktop, or `sudo systemctl start docker`), check DOCKER_HOST and `docker context ls`, or run "
    "without it: --engine local; `envctl doctor` says what works here"
)


@dataclass
class Connection:
    """How to reach one daemon; `api` is this thread's client."""

    host: str
    tls: Any = None
    context: str | None = None
    version: str = "auto"
    _local: threading.local = field(default_factory=threading.local)

    @property
    def api(self) -> APIClient:
        client: APIClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._connect()
        return client

    def _connect(self) -> APIClient:
        return APIClient(
            base_url=self.host, tls=self.tls or False, version=self.version, timeout=TIMEOUT, use_ssh_client=self.host.startswith("ssh")
        )

    @property
    def hostname(self) -> str:
        """The daemon's machine; empty where it is this one."""
        parts = urlsplit(self.host)
        if parts.scheme in ("unix", "npipe", "http+unix", ""):
            return ""
        return "" if parts.hostname in LOOPBACK else parts.hostname or ""

    @property
    def environment(self) -> dict[str, str]:
        """For Docker's own programs, so that they talk to the same daemon."""
        env = {key: value for key, value in os.environ.items() if key != "DOCKER_CONTEXT"}
        if self.context:
            return {key: value for key, value in env.items() if key != "DOCKER_HOST"} | {"DOCKER_CONTEXT": self.context}
        return env


def connect(context: str | None = None) -> Connection:
    """A connection that works.

    Raises:
        EngineMissing: there is no daemon, or it does not answer.
    """
    try:
        connection = _find(context)
        connection.version = connection.api.version()["ApiVersion"] if connection.api else "auto"
        connection.version = min(connection.version, DEFAULT_DOCKER_API_VERSION, key=_numbers)
    except (DockerException, OSError, ValueError) as error:
        raise EngineMissing(f"Docker does not answer: {_first_line(error)}", hint=NOT_THERE) from None
    return connection


def _find(context: str | None) -> Connection:
    if context is None and os.environ.get("DOCKER_HOST"):
        return _from_environment()
    name = context or os.environ.get("DOCKER_CONTEXT")
    found = ContextAPI.get_context(name) if name else ContextAPI.get_current_context()
    if found is None:
        raise EngineMissing(f"there is no Docker context '{name}'", hint="`docker context ls` lists them")
    host = found.Host or "unix:///var/run/docker.sock"
    return Connection(host, found.TLSConfig, name if name != "default" else None)


def _from_environment() -> Connection:
    settings = kwargs_from_env()
    return Connection(settings.get("base_url") or os.environ["DOCKER_HOST"], settings.get("tls"))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _first_line(error: BaseException) -> str:
    text = str(error)
    for phrase in ("Connection refused", "No such file or directory", "Permission denied", "Name or service not known", "timed out"):
        if phrase in text:
            return f"{phrase} ({os.environ.get('DOCKER_HOST') or 'the current Docker context'})"
    return text.splitlines()[0] if text else type(error).__name__
