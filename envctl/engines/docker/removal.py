"""Removal by label: whatever carries the instance's id, asked for again until nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from envctl.engines.docker.api import ApiError, Daemon
from envctl.instance.labels import INSTANCE, SERVICE
from envctl.process.threads import each

ROUNDS = 5
Entry = dict[str, Any]
LabelledThings = dict[str, list[Entry]]


def remove_instance(daemon: Daemon, id: str, stop: Mapping[str, float]) -> list[str]:
    """Removes containers, networks and volumes of *id*; what is still there after some rounds comes back as text.

    Args:
        stop: seconds that a service may take to end on SIGTERM; those that are not named are killed.
    """
    for _ in range(ROUNDS):
        left = labelled(daemon, f"{INSTANCE}={id}")
        if not any(left.values()):
            return []
        _quietly(lambda container: _remove_container(daemon, container, stop), left["container"])
        _quietly(lambda entry: _remove_other(daemon, entry), [*left["network"], *left["volume"]])
    found = labelled(daemon, f"{INSTANCE}={id}")
    return [f"{what} {entry.get('Name') or entry['Names'][0].strip('/')}" for what, entries in found.items() for entry in entries]


def labelled(daemon: Daemon, label: str) -> LabelledThings:
    """Containers, networks and volumes that carry *label*."""
    filters = {"label": [label]}
    return {
        "container": daemon.get("/containers/json", all="1", filters=filters),
        "network": daemon.get("/networks", filters=filters),
        "volume": daemon.get("/volumes", filters=filters)["Volumes"] or [],
    }


def _quietly(remove: Callable[[Entry], None], entries: Iterable[Entry]) -> None:
    def tried(entry: Entry) -> None:
        with suppress(ApiError):  # somebody else removes it too, or it is in use: the next round tells
            remove(entry)

    each(tried, entries)


def _remove_other(daemon: Daemon, entry: Entry) -> None:
    if "Id" in entry:
        daemon.request("DELETE", f"/networks/{entry['Id']}")
    else:
        daemon.request("DELETE", f"/volumes/{entry['Name']}", {"force": "1"})


def _remove_container(daemon: Daemon, container: Entry, stop: Mapping[str, float]) -> None:
    path = f"/containers/{container['Id']}"
    seconds = stop.get(container["Labels"].get(SERVICE, ""), 0)
    if seconds and container["State"] == "running":
        with suppress(ApiError):
            daemon.request("POST", f"{path}/stop", {"t": str(max(1, round(seconds)))}, patience=seconds)
    daemon.request("DELETE", path, {"force": "1", "v": "1"})
