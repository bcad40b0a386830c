"""The volumes of a Compose file: each instance gets volumes of its own instead of folders that all instances would share."""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

Lose = Callable[[str, str], None]
_DATA = re.compile(
    r"/var/(?:lib|opt)/(?!docker)|/bitnami/|/data(?:/|$)|/(?:opt|usr/share)/\w+/(?:ora)?data(?:/|$)|.*/\.?data/?$|(?:/\w+)?/\w+-data/?$"
)
"""The folders in which images usually keep the data of their servers."""


def own_volumes(
    name: str, volumes: Sequence[Mapping[str, Any]], data: Sequence[str], project: Path, made: dict[str, Any], lose: Lose
) -> list[Mapping[str, Any]]:
    """Return the *volumes* of the service *name*, with a volume of the instance in place of each folder with data.

    Args:
        data: the folders in which the image is known to keep data.
        project: the project's folder, from which messages show paths.
        made: gets the new volumes, by name.
        lose: is called with the name of the service and a sentence about each difference from Compose.
    """
    kept = [_own(name, volume, data, project, made, lose) if _is_folder(volume) else volume for volume in volumes]
    targets = {PurePosixPath(str(volume["target"])) for volume in volumes}
    for inner in data:  # a data folder inside a mounted folder that also contains other files
        if PurePosixPath(inner) not in targets and any(_is_folder(volume) and _holds(str(volume["target"]), inner) for volume in kept):
            lose(name, f"{inner} is an empty volume of the instance's own, so that two instances never write to one folder")
            kept.append(_volume(name, inner, made))
    return kept


def looks_like_data(target: str) -> bool:
    """Return whether images usually keep the data of their servers in the folder *target*."""
    return _DATA.match(target) is not None


def _holds(folder: str, inner: str) -> bool:
    return PurePosixPath(folder) in PurePosixPath(inner).parents


def _is_folder(volume: Mapping[str, Any]) -> bool:
    """Return whether *volume* binds a folder of this machine that the container may write to."""
    return volume.get("type") == "bind" and not volume.get("read_only") and not os.path.isfile(str(volume["source"]))


def _own(name: str, volume: Mapping[str, Any], data: Sequence[str], project: Path, made: dict[str, Any], lose: Lose) -> Mapping[str, Any]:
    source, target = Path(str(volume["source"])), PurePosixPath(str(volume["target"]))
    shown = _shown(source, project)
    if any(target == PurePosixPath(folder) or PurePosixPath(folder) in target.parents for folder in data):
        lose(
            name, f"{shown} is not used: {target} is an empty volume of the instance's own, so that two instances never write to one folder"
        )
    elif looks_like_data(str(target)) and _is_empty(source):
        lose(name, f"{shown} stays empty: {target} is a volume of the instance's own")
    else:
        if looks_like_data(str(target)):
            lose(name, f"{shown} is shared: every instance writes to it, and it is not removed")
        return volume
    return _volume(name, str(volume["target"]), made)


def _volume(name: str, target: str, made: dict[str, Any]) -> Mapping[str, Any]:
    own = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{name}-own{target}").rstrip("-")
    made[own] = {}
    return {"type": "volume", "source": own, "target": target, "volume": {}}


def _shown(source: Path, project: Path) -> str:
    with suppress(ValueError):
        return f"./{source.relative_to(project)}"
    return str(source)


def _is_empty(source: Path) -> bool:
    with suppress(OSError):
        return not any(source.iterdir())
    return not os.path.exists(source)  # Path.exists would raise below a folder that only the container's user may search


def without_folders(volumes: Mapping[str, Any], lose: Lose) -> dict[str, Any]:
    """Return the volumes of the whole file. A volume that binds a folder of this machine becomes an ordinary volume of each instance."""
    found = {}
    for name, given in volumes.items():
        options = (given or {}).get("driver_opts") or {}
        binds = "bind" in str(options.get("o", "")).split(",") or options.get("type") == "none"
        if options and binds and not given.get("external"):
            lose(f"volume {name}", f"{options.get('device')} is not used: it is an empty volume of the instance's own")
        elif options and options.get("type") != "tmpfs" and not given.get("external"):
            lose(f"volume {name}", f"`driver_opts` ({options.get('device', 'its storage')}) are the same for every instance")
        found[name] = {key: value for key, value in given.items() if key not in ("driver", "driver_opts")} if binds and given else given
    return found


def without_addresses(networks: Mapping[str, Any], lose: Lose) -> dict[str, Any]:
    """Return the networks of the whole file without subnets and names of bridges, which only one instance could have."""
    found = {}
    for name, given in networks.items():
        kept = dict(given or {})
        if not kept.get("external"):
            if any(config.get("subnet") for config in (kept.get("ipam") or {}).get("config") or []):
                left = "subnets are left out, and `enable_ipv6` with them" if kept.pop("enable_ipv6", False) else "subnet is left out"
                lose(f"network {name}", f"its {left}: two instances cannot have the same one")
                kept.pop("ipam")
            options = kept.get("driver_opts") or {}
            if bridge := options.get("com.docker.network.bridge.name"):
                lose(f"network {name}", f"the bridge's name {bridge} is left out: two instances cannot have the same one")
                kept["driver_opts"] = {key: value for key, value in options.items() if value != bridge}
        found[name] = kept
    return found
