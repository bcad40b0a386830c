"""Support for envctl in a container with its daemon's socket, as in CI jobs.

The services publish their ports on the daemon's machine, not on 127.0.0.1 of envctl's container.
"""

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
    """Return the daemon's description of the container in which envctl runs; empty if envctl runs in no container of this daemon."""
    try:
        found = _OURS.search(mounts.read_text(errors="replace"))
        ours: Mapping[str, Any] = daemon.get(f"/containers/{found[1]}/json") if found else {}
    except (OSError, ApiError):  # this is not Linux, or a container of another daemon
        return {}
    return ours


def gateway(daemon: Asked, ours: Mapping[str, Any]) -> str:
    """Return the address of the daemon's machine as seen from *ours*, the container in which envctl runs.

    It is empty outside a container, and in a container that shares its machine's network.

    Raises:
        EngineMissing: this container has no network from which it could reach containers of the daemon.
    """
    networks = ours.get("NetworkSettings", {}).get("Networks") or {}
    if set(networks) == {"none"}:
        message = "this container has no network (`--network none`), but envctl reaches the services over a network"
        raise EngineMissing(message, hint="connect the container that envctl runs in to a network")
    found = {name: str(each["Gateway"]) for name, each in networks.items() if each.get("Gateway")}
    open_ones = [name for name in found if not _is_internal(daemon, name)]
    if found and not open_ones:
        message = f"this container cannot reach anything outside, because its networks are `internal`: {', '.join(found)}"
        raise EngineMissing(message, hint="connect the container that envctl runs in to an ordinary network as well")
    return found[open_ones[0]] if open_ones else ""


def _is_internal(daemon: Asked, name: str) -> bool:
    try:
        return bool(daemon.get(f"/networks/{name}").get("Internal"))
    except (OSError, ApiError):
        return False
