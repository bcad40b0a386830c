"""Whose data of a Compose file's services can be kept: all that it depends on is known, and is the same for every instance of the file.

Unlike what a definition of ours makes, it holds the passwords of its file, so these count in its key. In doubt it is not kept.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from envctl.files.folders import FileRefused
from envctl.files.reading import read_file
from envctl.plan.model import Plan, ServicePlan

IDLE = frozenset(
    ("annotations", "attach", "container_name", "expose", "labels", "logging", "networks", "ports", "pull_policy", "restart",
     "stop_grace_period")
)  # fmt: skip
"""Keys that have no part in what a server writes at its first start."""
COUNTED = frozenset(
    ("cap_add", "cap_drop", "command", "cpus", "cpu_shares", "deploy", "healthcheck", "hostname", "init", "mem_limit", "mem_reservation",
     "memswap_limit", "secrets", "security_opt", "shm_size", "stdin_open", "tty", "ulimits", "volumes")
)  # fmt: skip
"""Keys whose values say all that they do. Any other one (`entrypoint`, `user`, `configs`, `tmpfs`...) may bring in anything."""
LARGEST_SECRET = 65_536
_PATH = re.compile(r"(?:^|[\s=:,])\.{0,2}/")
_PERSONAL = re.compile(r"RANDOM|MASTER|PRIMARY|REPLICA")
"""Variables with which an image draws a password, or asks another server."""
SECRETS = "/run/secrets"


def can_be_kept(plan: Plan, service: ServicePlan) -> bool:
    """Whether nothing but its image, its variables, its arguments and files that are read here decide about its data."""
    if not service.compose.keys() <= IDLE | COUNTED or not _is_alone(plan, service):
        return False
    return _words_are_plain(service) and _variables_are_plain(service) and _secrets(plan, service) is not None


def told(plan: Plan, service: ServicePlan) -> str:
    """A hash of all of it, passwords included."""
    given = {key: value for key, value in service.compose.items() if key not in IDLE}
    inputs = [given, service.entrypoint, service.command, dict(service.env), _secrets(plan, service)]
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()


def _words_are_plain(service: ServicePlan) -> bool:
    """Whether its arguments are options: neither a script, nor the path of something that is nobody's business here."""
    words = [*map(str, service.compose.get("command") or ()), *service.command]
    return not any("/" in word or re.search(r"\s", word) for word in words)


def _variables_are_plain(service: ServicePlan) -> bool:
    """Whether they name no place but those of its data and of secrets, and no other server."""
    assert service.snapshot is not None
    places = [place for place in service.snapshot.places if place.startswith("/")]
    for name, value in service.env.items():
        if value and _PERSONAL.search(name):
            return False
        if name in service.snapshot.places and not any(PurePosixPath(value).is_relative_to(place) for place in places):
            return False
        if _PATH.search(value) and not any(PurePosixPath(value).is_relative_to(place) for place in (*places, SECRETS)):
            return False
    return True


def _is_alone(plan: Plan, service: ServicePlan) -> bool:
    """Whether nobody else sees its data: an ordinary volume of its own, or none but that of its image."""
    assert service.snapshot is not None
    mounts = service.compose.get("volumes") or []
    others = [other.compose for other in plan.services.values() if other.name != service.name]
    if any(other.get("volumes_from") for other in others) or len(mounts) > 1:
        return False
    return all(_is_ordinary(plan, mount, service.snapshot.places) for mount in mounts) and not any(
        mount.get("source") in _sources(other) for mount in mounts for other in others
    )


def _is_ordinary(plan: Plan, mount: Mapping[str, Any], places: tuple[str, ...]) -> bool:
    if mount.get("type") != "volume" or mount.get("volume") or mount.get("read_only") or mount.get("target", "").rstrip("/") not in places:
        return False
    return not (plan.compose_extra.get("volumes", {}).get(mount.get("source")) or {}).keys() - {"labels"}


def _sources(compose: Mapping[str, Any]) -> Iterator[str]:
    """The volumes that a service mounts, in either way of writing."""
    for mount in compose.get("volumes") or []:
        yield str(mount.get("source")) if isinstance(mount, Mapping) else str(mount).partition(":")[0]


def _secrets(plan: Plan, service: ServicePlan) -> list[tuple[str, str]] | None:
    """Where each of its secrets lies, and the hash of what the file says; None where one cannot be told from here."""
    found = []
    for given in service.compose.get("secrets") or []:
        file = (plan.compose_extra.get("secrets", {}).get(given["source"]) or {}).get("file")
        content = None
        with suppress(FileRefused, OSError):
            content = read_file(Path(str(file).replace("$$", "$")), plan.setting.project, largest=LARGEST_SECRET) if file else None
        if content is None:
            return None
        found.append((str(given.get("target") or given["source"]), hashlib.sha256(content).hexdigest()))
    return found
