"""Data that started as an image is in the container; before that container is recreated, the data moves to a volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from envctl.engines.docker.api import ApiError, Daemon
from envctl.engines.docker.connection import Connection, sdk_errors
from envctl.engines.docker.containers_and_volumes import make_data_volume, remove_container, remove_helper, remove_volume
from envctl.errors import EnvctlError
from envctl.instance.labels import INSTANCE, SERVICE
from envctl.instance.record import SnapshotRecord
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


def move(connection: Connection, service: str, container: Container, kept: SnapshotRecord, data_id: str) -> None:
    """Stop the server, copy its data to the volume `kept.volume`, and remove its container.

    Args:
        container: as the daemon lists it.
        kept: the snapshot from which the container runs, with `place` and `volume`.
        data_id: the id of the data, which the volume gets as a label.

    Raises:
        EnvctlError: Docker cannot copy the data; the container still has it.
    """
    api, daemon, id = connection.api, connection.daemon, container["Id"]
    ours = {key: value for key, value in container["Labels"].items() if key.startswith("envctl.")}
    labels = _of_compose(ours[INSTANCE], service) if kept.volume == volume_of(ours[INSTANCE], service) else {}
    try:
        api.stop(id, timeout=STOPPING)
        remove_helper(daemon, kept.volume)
        remove_volume(daemon, kept.volume)
        make_data_volume(daemon, kept.volume, {**ours, **labels}, data_id)
        config = api.create_host_config(binds=[f"{kept.volume}:{kept.place}:nocopy"])
        api.create_container(container["ImageID"], name=kept.volume, labels={INSTANCE: ours[INSTANCE]}, host_config=config)
        data, _ = api.get_archive(id, kept.place)
        api.put_archive(kept.volume, str(PurePosixPath(kept.place).parent), data)
        remove_helper(daemon, kept.volume)
        remove_container(daemon, id)
    except (ApiError, sdk_errors.DockerException) as error:
        raise EnvctlError(f"{service}: its data cannot be moved from its container to a volume: {error}") from None
