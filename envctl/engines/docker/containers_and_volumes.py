"""Creation of volumes with a label for their data, and removal of containers and volumes that may already be gone."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from envctl.engines.docker.api import CHANGING, NOT_FOUND, ApiError, Daemon, suppressed
from envctl.instance.labels import DATA


def make_data_volume(daemon: Daemon, name: str, labels: Mapping[str, str], data_id: str = "", **more: Any) -> None:
    """Create a volume with a label that identifies its data; an existing volume stays unchanged.

    The creation time cannot identify the data: Docker 20.10 gives the time at which something was last created in the volume's root.

    Args:
        data_id: the value of the label, for data that is older than the volume; if empty, a new random value is used.
        more: further fields of the request (`Driver`).

    Raises:
        ApiError: the volume cannot be created.
    """
    told = {**labels, DATA: data_id or secrets.token_hex(8)}
    daemon.request("POST", "/volumes/create", body={"Name": name, "Labels": told, **more})


def remove_container(daemon: Daemon, container: str) -> None:
    """Remove the container with its anonymous volumes, if it exists.

    Raises:
        ApiError: the container cannot be removed.
    """
    with suppressed(NOT_FOUND):
        daemon.request("DELETE", f"/containers/{container}", {"force": "1", "v": "1"}, CHANGING)


def remove_volume(daemon: Daemon, name: str) -> None:
    """Remove the volume, if it exists.

    Raises:
        ApiError: a container uses the volume.
    """
    with suppressed(NOT_FOUND):
        daemon.request("DELETE", f"/volumes/{name}", {"force": "1"}, CHANGING)


BUSY = 409
"""The HTTP status with which a daemon refuses to remove something that is already being removed."""


def remove_helper(daemon: Daemon, name: str) -> None:
    """Remove the container that copies data into the volume *name*, and has the same name; wait if another process is removing it.

    Raises:
        ApiError: the container cannot be removed.
    """
    try:
        remove_container(daemon, name)
    except ApiError as error:
        if error.status != BUSY:
            raise
        with suppressed(NOT_FOUND):
            daemon.request("POST", f"/containers/{name}/wait", {"condition": "removed"}, CHANGING)
