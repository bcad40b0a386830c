"""Which engine when nobody says: Docker where a daemon answers, else local processes."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

from envctl.engines import ENGINES
from envctl.errors import EngineMissing


def default_engine(context: str | None = None) -> str:
    """Asks no more than whether somebody listens: importing an SDK for that would cost a quarter of a second."""
    if context or os.environ.get("DOCKER_CONTEXT") or "local" not in ENGINES:
        return "docker"
    from envctl.engines.docker.contexts import find_endpoint

    return "docker" if _listens(find_endpoint(None)[0].host) else "local"


def lasting_context(engine: str, context: str | None = None) -> str | None:
    """The daemon that *context* or the environment names now, for the record: `down` must find it when the environment has changed."""
    if engine != "docker":
        return context
    from envctl.engines.docker.contexts import find_endpoint

    try:
        endpoint, name = find_endpoint(context)
    except EngineMissing:
        return context  # whoever opens it says so
    return endpoint.host if name in (None, "default") else name


def _listens(host: str) -> bool:
    parts = urlsplit(host)
    if parts.scheme != "unix":
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(parts.path)
        except OSError:
            return False
    return True
