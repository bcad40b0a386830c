"""Inside a container that has the socket of its own daemon (CI jobs): what the daemon publishes is on its machine, not on our 127.0.0.1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envctl.engines.docker.api import ApiError, Asked
from envctl.errors import EngineMissing

_OURS = re.compile(r"/containers/([0-9a-f]{64})/(?:resolv\.conf|hostname|hosts) /etc/")
MOUNTS = Path("/proc/self/mountinfo")


def own_container(daemon: Asked, mounts: Path = MOUNTS) -> Mapping[str, Any]:
    """What the daemon tells of the container that we are in; nothing where we are in none of its own."""
    try:
        found = _OURS.search(mounts.read_text(errors="replace"))
        ours: Mapping[str, Any] = daemon.get(f"/containers/{found[1]}/json") if found else {}
    except (OSError, ApiError):  # no Linux, or a container of another daemon
        return {}
    return ours


def gateway(daemon: Asked, ours: Mapping[str, Any]) -> str:
    """The address under which the daemon's machine is reached from *ours*, the container that we are in; empty where that is none.

    One that shares its machine's network needs none.

    Raises:
        EngineMissing: this container is in no network from which what the daemon runs can be reached.
    """
    networks = ours.get("NetworkSettings", {}).get("Networks") or {}
    if set(networks) == {"none"}:
        message = "this container has no network (`--network none`), but envctl reaches the services over a network"
        raise EngineMissing(message, hint="give the container that envctl runs in a network")
    found = {name: str(each["Gateway"]) for name, each in networks.items() if each.get("Gateway")}
    open_ones = [name for name in found if not _is_internal(daemon, name)]
    if found and not open_ones:
        message = f"nothing outside is reached from this container, as its networks are `internal`: {', '.join(found)}"
        raise EngineMissing(message, hint="connect the container that envctl runs in to an ordinary network as well")
    return found[open_ones[0]] if open_ones else ""


def _is_internal(daemon: Asked, name: str) -> bool:
    try:
        return bool(daemon.get(f"/networks/{name}").get("Internal"))
    except (OSError, ApiError):
        return False
