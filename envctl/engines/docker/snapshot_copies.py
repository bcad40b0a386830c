"""Servers of Compose files that start from a snapshot; everything else stays as in the file, including the place of their data.

A server runs from the snapshot's image if that has the data at its usual path (`images_without_volumes`). Otherwise it gets a copy, in
a volume of the instance: Docker itself fills an empty volume from an image when a container is created that mounts the volume there.
This container never runs. The copy is used once the instance's record names it, which is the last step. Data of a server that ran from
the image gets into the same volume when its container has to be recreated (`snapshot_to_volume`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from envctl.engines.docker.api import ApiError, Daemon
from envctl.engines.docker.containers_and_volumes import make_data_volume, remove_helper, remove_volume
from envctl.engines.docker.data_volumes import target_of
from envctl.errors import EnvctlError
from envctl.instance.labels import INSTANCE, SERVICE
from envctl.instance.record import SnapshotRecord
from envctl.plan.model import Plan, ServicePlan
from envctl.process.creation import InFlight
from envctl.process.threads import guarded_thread

COPYING = 600
"""The additional seconds that the daemon may take to fill a volume."""


def volume_of(id: str, service: str) -> str:
    """Return the name of the volume with the copy; names that Compose makes have an underscore after the id."""
    return f"{id}.{service}"


def holds(daemon: Daemon, service: ServicePlan) -> bool:
    """Return whether the image of *service* keeps its data in one volume, which contains every folder that the service names for data."""
    assert service.snapshot is not None
    try:
        config = daemon.get(f"/images/{service.image}/json")["Config"]
    except ApiError:
        return False
    folder, places = _of_volumes(config), [place for place in service.places if place.startswith("/")]
    mounted = [str(mount["target"]).rstrip("/") for mount in service.compose.get("volumes") or [] if mount["type"] == "volume"]
    if folder not in places or any(target != folder for target in mounted):
        return False
    variables = dict(text.partition("=")[::2] for text in config.get("Env") or ()) | dict(service.env)
    named = [PurePosixPath(variables[name]) for name in service.places if variables.get(name)]
    return all(path.is_relative_to(folder) for path in named)


def _of_volumes(config: Mapping[str, Any]) -> str:
    folders = list(config.get("Volumes") or ())
    return str(folders[0]).rstrip("/") if len(folders) == 1 else ""


def only_volume(daemon: Daemon, image: str) -> str:
    """Return the folder of the only volume of *image*; empty if the image has no volume, or several."""
    return _of_volumes(daemon.get(f"/images/{image}/json")["Config"])


def kept_folder(service: ServicePlan, folder: str) -> str:
    """Return the folder in a snapshot's image with the data of *folder*: no volume covers it."""
    assert service.snapshot is not None
    return str(PurePosixPath(service.snapshot.folder).with_name(PurePosixPath(folder).name))


def begin(
    daemon: Daemon, service: ServicePlan, kept: SnapshotRecord, id: str, marks: Mapping[str, str], in_flight: InFlight
) -> SnapshotRecord:
    """Prepare the start of *service* from the snapshot *kept*, and return the record of that snapshot.

    Its `folder` is where `mounted` mounts the copy. If the service runs from the snapshot's image, the record has its `place` instead.

    Raises:
        EnvctlError: Docker cannot copy the data.
    """
    try:
        folder = only_volume(daemon, service.image)
        discard(daemon, id, service.name)  # removes an incomplete copy
        if only_volume(daemon, kept.ref) == folder:
            _fill(daemon, service, kept, f"{volume_of(id, service.name)}:{kept_folder(service, folder)}", marks, in_flight)
            return replace(kept, folder=folder)
    except ApiError as error:
        raise EnvctlError(f"Docker cannot copy {kept.ref}: {error}") from None
    return replace(kept, place=folder, volume=volume_of(id, service.name))


def _fill(daemon: Daemon, service: ServicePlan, kept: SnapshotRecord, bind: str, marks: Mapping[str, str], in_flight: InFlight) -> None:
    name = bind.partition(":")[0]
    with in_flight.creating():
        make_data_volume(daemon, name, {**marks, SERVICE: service.name})
        asked = {"Image": kept.ref, "Labels": {INSTANCE: marks[INSTANCE]}, "HostConfig": {"Binds": [bind]}}
        daemon.request("POST", "/containers/create", {"name": name}, COPYING, asked)
    # Removing the helper takes as long as creating it. If that fails, the helper is removed with the instance.
    guarded_thread(lambda: remove_helper(daemon, name), lambda error: None, "helper")


def discard(daemon: Daemon, id: str, service: str) -> None:
    """Remove the copy, and the container that made it, which may still use it.

    Raises:
        EnvctlError: another container uses the copy.
    """
    name = volume_of(id, service)
    try:
        remove_helper(daemon, name)
        remove_volume(daemon, name)
    except ApiError as error:
        raise EnvctlError(f"Docker cannot remove the volume {name} with the data of {service}: {error}") from None


def mounted(plan: Plan, copies: Mapping[str, str]) -> Plan:
    """Return *plan* with each copy mounted in place of the volume that the service has there.

    Args:
        copies: service to the folder of its copy.
    """
    here = {name: folder for name, folder in copies.items() if name in plan.services}
    if not here:
        return plan
    volumes = {f"{name}.kept": {"external": True, "name": volume_of(plan.setting.id, name)} for name in here}
    extra = {**plan.compose_extra, "volumes": {**plan.compose_extra.get("volumes", {}), **volumes}}
    services = {name: _mounted(service, here[name]) if name in here else service for name, service in plan.services.items()}
    return replace(plan, services=services, compose_extra=extra)


def _mounted(service: ServicePlan, folder: str) -> ServicePlan:
    own = {"type": "volume", "source": f"{service.name}.kept", "target": folder, "volume": {}}
    return replace(service, compose={**service.compose, "volumes": [*mounts_elsewhere(service, folder), own]})


def mounts_elsewhere(service: ServicePlan, folder: str) -> list[Any]:
    """Return the mounts of a service of a Compose file without the one at *folder*."""
    return [mount for mount in service.compose.get("volumes") or [] if target_of(mount).rstrip("/") != folder]
