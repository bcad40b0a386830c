"""Which engine when nobody says: Docker where a daemon answers, else local processes."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from envctl.engines import ENGINES


def default_engine(context: str | None = None) -> str:
    """Asks no more than whether somebody listens: importing an SDK for that would cost a quarter of a second."""
    if context or os.environ.get("DOCKER_CONTEXT") or "local" not in ENGINES:
        return "docker"
    host = os.environ.get("DOCKER_HOST", "")
    if not host and _current_context() != "default":
        return "docker"
    return "docker" if _listens(host or "unix:///var/run/docker.sock") else "local"


def _current_context() -> str:
    import json

    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        found = json.loads((folder / "config.json").read_text()).get("currentContext") or "default"
    except (OSError, ValueError):
        return "default"
    return str(found)


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
