"""Data that started as an image is in the container; before that container is recreated, the data moves to a volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from envctl.engines.docker.api import Daemon
from envctl.engines.docker.connection import Connection
from envctl.engines.docker.containers_and_volumes import make_data_volume, remove_container, remove_volume
from envctl.instance.labels import INSTANCE, SERVICE
from envctl.plan.model import ServicePlan

Container = Mapping[str, Any]
CONFIG_HASH = "com.docker.compose.config-hash"
COPYING = 600
STOPPING = 30
"""The seconds that a server may take to end after SIGTERM."""


def volume_of(id: str, service: str) -> str:
    """Return the name that Compose gives to the volume with the data of a service."""
    return f"{id}_{service}-data"


def make_volumes(daemon: Daemon, id: str, services: Mapping[str, ServicePlan], marks: Mapping[str, str]) -> None:
    """Create the missing data volumes of *services*.

    Args:
        marks: the labels of the instance.
    """
    for service in (service for service in services.values() if service.data):
        told = {**marks, SERVICE: service.name, **_of_compose(id, service.name)}
        make_data_volume(daemon, volume_of(id, service.name), told)


def _of_compose(id: str, service: str) -> dict[str, str]:
    return {"com.docker.compose.project": id, "com.docker.compose.volume": f"{service}-data"}


def has_moved(daemon: Daemon, volume: str, service: str, image: str, containers: Sequence[Container]) -> bool:
    """Return whether the data is in *volume*; while a container of the snapshot's *image* exists, the copy there may be incomplete."""
    held = any(each["ImageID"] == image and each["Labels"].get("com.docker.compose.service") == service for each in containers)
    return not held and daemon.find(f"/volumes/{volume}") is not None


def made_anew(container: Container, hashes: Mapping[str, str]) -> bool:
    """Return whether Compose would recreate *container*.

    Args:
        hashes: service to the hash of its new configuration, as `config_hashes` returns it.
    """
    return bool(container["Labels"].get(CONFIG_HASH) != hashes.get(container["Labels"]["com.docker.compose.service"]))


def config_hashes(output: str) -> dict[str, str]:
    """Parse the output of `compose config --hash '*'`: service to the hash of its configuration."""
    pairs = (line.split() for line in output.splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


class Place(NamedTuple):
    """The target of a move: the volume's name, the folder at which a container mounts it, and the labels by which Compose recognises it."""

    volume: str
    folder: str
    labels: Mapping[str, str]


def place_of(id: str, service: ServicePlan) -> Place:
    """Return where the data of *service* moves; *service* must have a kind, and be as it was planned, before `restored` changed it."""
    assert service.snapshot is not None
    return Place(volume_of(id, service.name), service.snapshot.folder, _of_compose(id, service.name))


def move(connection: Connection, image: str, container: str, place: Place, data_id: str) -> None:
    """Stop the server, and copy its data to *place*; the container keeps its data.

    Args:
        image: any image, for a helper container that never runs.
        data_id: the id of the data, which the volume gets as a label.
    """
    api = connection.api
    api.stop(container, timeout=STOPPING)
    remove_volume(connection.daemon, place.volume)
    labels = api.inspect_container(container)["Config"]["Labels"]
    ours = {key: value for key, value in labels.items() if key.startswith("envctl.")}
    make_data_volume(connection.daemon, place.volume, {**ours, **place.labels}, data_id)
    config = api.create_host_config(binds=[f"{place.volume}:{place.folder}"])
    helper = api.create_container(image, labels={INSTANCE: ours[INSTANCE]}, host_config=config)["Id"]
    try:
        data, _ = api.get_archive(container, place.folder)
        api.put_archive(helper, str(PurePosixPath(place.folder).parent), data)
    finally:
        remove_container(connection.daemon, helper)
