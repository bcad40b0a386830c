"""Removal by label: whatever carries the instance's id, asked for again until nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from envctl.keeper.docker_api import ApiError, Daemon

ROUNDS = 5
Found = dict[str, list[dict[str, Any]]]


def remove_instance(daemon: Daemon, id: str, stop: Mapping[str, float]) -> list[str]:
    """Removes containers, networks and volumes of *id*; what is still there after some rounds comes back as text.

    Args:
        stop: seconds that a service may take to end on SIGTERM; those that are not named are killed.
    """
    with ThreadPoolExecutor(10) as pool:
        for _ in range(ROUNDS):
            left = labelled(daemon, f"envctl.instance={id}")
            if not any(left.values()):
                return []
            _each(pool, left["container"], lambda c: _remove_container(daemon, c, stop))
            _each(
                pool,
                [*left["network"], *left["volume"]],
                lambda e: daemon.request(
                    "DELETE", f"/networks/{e['Id']}" if "Id" in e else f"/volumes/{e['Name']}", {} if "Id" in e else {"force": "1"}
                ),
            )
    found = labelled(daemon, f"envctl.instance={id}")
    return [f"{what} {entry.get('Name') or entry['Names'][0].strip('/')}" for what, entries in found.items() for entry in entries]


def labelled(daemon: Daemon, label: str) -> Found:
    """Containers, networks and volumes that carry *label*."""
    filters = {"label": [label]}
    return {
        "container": daemon.get("/containers/json", all="1", filters=filters),
        "network": daemon.get("/networks", filters=filters),
        "volume": daemon.get("/volumes", filters=filters)["Volumes"] or [],
    }


def _each(pool: ThreadPoolExecutor, entries: Iterable[Any], remove: Callable[[Any], object]) -> None:
    def quietly(entry: Any) -> None:
        with suppress(ApiError):  # somebody else removes it too, or it is in use: the next round tells
            remove(entry)

    list(pool.map(quietly, entries))


def _remove_container(daemon: Daemon, container: dict[str, Any], stop: Mapping[str, float]) -> None:
    path = f"/containers/{container['Id']}"
    seconds = stop.get(container["Labels"].get("envctl.service", ""), 0)
    if seconds and container["State"] == "running":
        with suppress(ApiError):
            daemon.request("POST", f"{path}/stop", {"t": str(max(1, round(seconds)))})
    daemon.request("DELETE", path, {"force": "1", "v": "1"})
