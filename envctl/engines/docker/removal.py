"""Removal by label: whatever carries the instance's id, asked for again until nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from docker.errors import APIError, NotFound

from envctl.engines.docker.connection import Connection

ROUNDS = 5


def remove_instance(connection: Connection, id: str, stop: Mapping[str, float]) -> list[str]:
    """Removes containers, networks and volumes of *id*; what is still there after some rounds comes back as text.

    Args:
        stop: seconds that a service may take to end on SIGTERM; those that are not named are killed.
    """
    with ThreadPoolExecutor(10) as pool:
        for _ in range(ROUNDS):
            left = _found(connection, id)
            if not any(left.values()):
                return []
            _each(pool, left["container"], lambda c: _remove_container(connection, c, stop))
            _each(pool, left["network"], lambda n: connection.api.remove_network(n["Id"]))
            _each(pool, left["volume"], lambda v: connection.api.remove_volume(v["Name"], force=True))
    return [
        f"{what} {entry.get('Name') or entry['Names'][0].strip('/')}"
        for what, entries in _found(connection, id).items()
        for entry in entries
    ]


def _found(connection: Connection, id: str) -> dict[str, list[dict[str, Any]]]:
    wanted = {"label": f"envctl.instance={id}"}
    api = connection.api
    return {
        "container": api.containers(all=True, filters=wanted),
        "network": api.networks(filters=wanted),
        "volume": api.volumes(filters=wanted)["Volumes"] or [],
    }


def _each(pool: ThreadPoolExecutor, entries: Iterable[Any], remove: Callable[[Any], None]) -> None:
    def quietly(entry: Any) -> None:
        with suppress(APIError):  # somebody else removes it too, or it is in use: the next round tells
            remove(entry)

    list(pool.map(quietly, entries))


def _remove_container(connection: Connection, container: dict[str, Any], stop: Mapping[str, float]) -> None:
    seconds = stop.get(container["Labels"].get("envctl.service", ""), 0)
    if seconds and container["State"] == "running":
        with suppress(NotFound):
            connection.api.stop(container["Id"], timeout=max(1, round(seconds)))
    connection.api.remove_container(container["Id"], force=True, v=True)
