"""Inside a container that has the socket of its own daemon (CI jobs): what the daemon publishes is on its machine, not on our 127.0.0.1."""

from __future__ import annotations

import re
from pathlib import Path

from envctl.engines.docker.api import ApiError, Asked
from envctl.errors import EngineMissing

_OURS = re.compile(r"/containers/([0-9a-f]{64})/(?:resolv\.conf|hostname|hosts) /etc/")
MOUNTS = Path("/proc/self/mountinfo")


def gateway(daemon: Asked, mounts: Path = MOUNTS) -> str:
    """The address under which the daemon's machine is reached from this container; empty where we are in none of its containers.

    One that shares its machine's network needs none.

    Raises:
        EngineMissing: this container has no network, so nothing that the daemon runs can be reached from it.
    """
    try:
        found = _OURS.search(mounts.read_text(errors="replace"))
        ours = daemon.get(f"/containers/{found[1]}/json") if found else {}
    except (OSError, ApiError):  # no Linux, or a container of another daemon
        return ""
    networks = ours.get("NetworkSettings", {}).get("Networks") or {}
    if set(networks) == {"none"}:
        message = "this container has no network (`--network none`), but envctl reaches the services over a network"
        raise EngineMissing(message, hint="give the container that envctl runs in a network")
    return next((str(each["Gateway"]) for each in networks.values() if each.get("Gateway")), "")
