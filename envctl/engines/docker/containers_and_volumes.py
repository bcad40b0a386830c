"""Containers and volumes of the daemon: volumes that are marked when they are made, and what is removed, though it may be gone already."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from envctl.engines.docker.api import CHANGING, NOT_FOUND, Daemon, suppressed
from envctl.instance.labels import DATA


def make_data_volume(daemon: Daemon, name: str, labels: Mapping[str, str], data_id: str = "", **more: Any) -> None:
    """With a mark by which its data is known; one that is there stays as it is.

    When a volume was made says little: Docker 20.10 gives the time at which something was last made in its root.

    Args:
        data_id: the mark of data that is older than the volume; a new one without it.
        more: what else the daemon is told (`Driver`).

    Raises:
        ApiError: it cannot be made.
    """
    told = {**labels, DATA: data_id or secrets.token_hex(8)}
    daemon.request("POST", "/volumes/create", body={"Name": name, "Labels": told, **more})


def remove_container(daemon: Daemon, container: str) -> None:
    """With its volumes that have no names. Raises ApiError: it cannot be removed."""
    with suppressed(NOT_FOUND):
        daemon.request("DELETE", f"/containers/{container}", {"force": "1", "v": "1"}, CHANGING)


def remove_volume(daemon: Daemon, name: str) -> None:
    """Raises ApiError: a container has it."""
    with suppressed(NOT_FOUND):
        daemon.request("DELETE", f"/volumes/{name}", {"force": "1"}, CHANGING)
