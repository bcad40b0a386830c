"""Whether Compose would find nothing to do, which takes it half a second to see: the file of last time, made of the same images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from envctl.engines.docker.api import ApiError
from envctl.engines.docker.instance import containers_of
from envctl.engines.docker.networks import Asked
from envctl.instance.folder import write_private
from envctl.instance.labels import INSTANCE
from envctl.plan.model import Plan

NOTE = "compose.made"
Container = Mapping[str, Any]


def remember(folder: Path, text: str) -> None:
    """Everything of *text*, and nothing else, has been made."""
    write_private(folder / NOTE, _hash(text))


def forget(folder: Path) -> None:
    """Something else is about to be made."""
    (folder / NOTE).unlink(missing_ok=True)


def unchanged(daemon: Asked, plan: Plan, folder: Path, text: str) -> bool:
    """Whether all of *text* is there as it was made; False where that is hard to say."""
    note = folder / NOTE
    if not note.exists() or note.read_text() != _hash(text) or any(service.compose for service in plan.services.values()):
        return False
    id = plan.setting.id
    containers, networks = containers_of(daemon, id), daemon.get("/networks", filters={"label": [f"{INSTANCE}={id}"]})
    try:
        return bool(networks) and _all_there(containers, plan) and _of_images(daemon, containers, plan)
    except ApiError:
        return False  # an image has gone


def _service_of(container: Container) -> str:
    return str(container["Labels"].get("com.docker.compose.service"))


def _all_there(containers: Sequence[Container], plan: Plan) -> bool:
    wanted = [service.name for service in plan.services.values() for _ in range(service.replicas)]
    return sorted(map(_service_of, containers)) == sorted(wanted)


def _of_images(daemon: Asked, containers: Sequence[Container], plan: Plan) -> bool:
    """A tag may stand for another image by now."""
    ids = {image: daemon.get(f"/images/{image}/json")["Id"] for image in {service.image for service in plan.services.values()}}
    return all(container["ImageID"] == ids[plan.services[_service_of(container)].image] for container in containers)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
