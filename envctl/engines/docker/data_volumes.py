"""The volumes with the data of a service whose kind defines no data volume: they identify the data, and are removed with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from envctl.definition.compose_storage import looks_like_data
from envctl.definition.source import map_texts
from envctl.engines.docker.api import ApiError, Daemon
from envctl.engines.docker.containers_and_volumes import make_data_volume
from envctl.instance.labels import DATA
from envctl.plan.model import Plan, ServicePlan

ANONYMOUS = re.compile(r"[0-9a-f]{64}")


class Named(NamedTuple):
    """A volume with a name: as its Compose file calls it, and as the daemon does; and whether it is external."""

    source: str
    name: str
    external: bool


class Shared(NamedTuple):
    """A description of a volume that is not used by one service alone, and what the user can do about it."""

    what: str
    hint: str


class _Mount(NamedTuple):
    source: str
    target: str


def may_have(service: ServicePlan) -> bool:
    """Return whether the data of *service* matters: it is a server that is known to keep data, or it is seeded."""
    return bool(service.places or service.steps)


def named(plan: Plan, service: ServicePlan) -> list[Named]:
    """Return the named volumes in which *plan* may have data of *service*.

    If the places of its data are known, these are the volumes there; otherwise, all volumes of a seeded program.
    """
    mounts = _planned(service) if may_have(service) else ()
    return _named(plan, (each for each in mounts if not service.places or _holds(service, each.target, service.env)))


def planned(plan: Plan, service: ServicePlan) -> list[str]:
    """Return the names of the volumes that identify the data of *service* before it has a container."""
    return [each.name for each in _named(plan, (each for each in _planned(service) if _holds(service, each.target, service.env)))]


def _named(plan: Plan, mounts: Iterable[_Mount]) -> list[Named]:
    given = plan.compose_extra.get("volumes", {})
    found = []
    for source in dict.fromkeys(mount.source for mount in mounts if mount.source):
        told = given.get(source) or {}
        external = bool(told.get("external"))
        found.append(Named(source, str(told.get("name") or source) if external else f"{plan.setting.id}_{source}", external))
    return found


def in_container(service: ServicePlan, seen: Mapping[str, Any]) -> list[str]:
    """Return the names of the volumes with the data of *service*; empty if the data is in the container itself.

    An anonymous volume counts only if there is no named one. Compose passes it on to the next container.

    Args:
        seen: the container of the service, as the daemon describes it.
    """
    env = dict(text.partition("=")[::2] for text in (seen.get("Config") or {}).get("Env") or ())
    mounts = [each for each in seen.get("Mounts") or () if each.get("Type") == "volume" and each.get("RW", True)]
    held = [str(each["Name"]) for each in mounts if _holds(service, str(each["Destination"]), env)]
    return [name for name in held if not ANONYMOUS.fullmatch(name)] or held


def known_as(daemon: Daemon, names: Iterable[str], container: str) -> str:
    """Return an id of the data in the volumes *names*; empty if none of them exists.

    A volume without a label of envctl may be removed and created again under the same name, but not while *container* uses it: its id
    therefore includes the container. The creation time cannot be used (`make_data_volume`).
    """
    there = [(name, daemon.find(f"/volumes/{name}")) for name in sorted(names)]
    return " ".join(_known(name, its.get("Labels") or {}, container) for name, its in there if its is not None)


def _known(name: str, labels: Mapping[str, str], container: str) -> str:
    return labels.get(DATA) or (name if ANONYMOUS.fullmatch(name) else f"{name}@{container}")


def shared(daemon: Daemon, volume: Named, service: str) -> Shared | None:
    """Return why *volume* stays when the data of *service* is removed; None if it is removed, too."""
    if volume.external:
        hint = "empty it yourself, or remove `external: true`, so that each instance has its own volume"
        return Shared(f"the external volume '{volume.name}', which is not the instance's own", hint)
    there = daemon.get("/containers/json", all="1", filters={"volume": [volume.name]})
    others = sorted({str(each["Labels"].get("com.docker.compose.service") or each["Names"][0].lstrip("/")) for each in there} - {service})
    hint = "`envctl up` with `--fresh` gives all services new data"
    return Shared(f"the volume '{volume.source}', which is also used by {', '.join(others)}", hint) if others else None


def make(daemon: Daemon, plan: Plan, given: Mapping[str, Any]) -> None:
    """Create the missing volumes of *plan* as Compose would, with a label that identifies their data.

    Args:
        given: the volumes of the rendered Compose file.
    """
    its = {each.source for service in plan.services.values() for each in named(plan, service) if not each.external}
    for source in sorted(its & given.keys()):
        told = map_texts(lambda text: text.replace("$$", "$"), given[source])
        marks = {"com.docker.compose.project": plan.setting.id, "com.docker.compose.volume": source}
        driver = {ours: told[theirs] for ours, theirs in (("Driver", "driver"), ("DriverOpts", "driver_opts")) if told.get(theirs)}
        try:
            make_data_volume(daemon, told["name"], {**told.get("labels", {}), **marks}, **driver)
        except ApiError:
            continue  # Compose tries it again, and reports the reason


def target_of(mount: Any) -> str:
    """Return the path at which a volume is mounted; *mount* may have the short or the long syntax."""
    if isinstance(mount, Mapping):
        return str(mount.get("target", ""))
    return [*str(mount).split(":"), ""][1] if ":" in str(mount) else str(mount)


def _planned(service: ServicePlan) -> Iterator[_Mount]:
    """Yield the volumes that *service* mounts and may write to, in the short or the long syntax."""
    for mount in service.compose.get("volumes") or []:
        if isinstance(mount, Mapping):
            if mount.get("type") == "volume" and not mount.get("read_only"):
                yield _Mount(str(mount.get("source") or ""), target_of(mount))
            continue
        source, _, how, *_ = [*str(mount).split(":"), "", ""] if ":" in str(mount) else ["", "", ""]
        if not source.startswith((".", "/", "~")) and "ro" not in how.split(","):
            yield _Mount(source, target_of(mount))


def _holds(service: ServicePlan, target: str, env: Mapping[str, str]) -> bool:
    """Return whether a volume at *target* has data of *service*, and so identifies it.

    For a program of the team's own, only the path decides: it may keep data in its container as well, beside a volume for uploads.
    """
    if not service.places:
        return bool(service.steps) and looks_like_data(target)
    mounted = PurePosixPath(target)
    return any(mounted.is_relative_to(folder) or folder.is_relative_to(mounted) for folder in _folders(service, env))


def _folders(service: ServicePlan, env: Mapping[str, str]) -> Iterator[PurePosixPath]:
    words = [*map(str, service.compose.get("command") or ()), *service.command]
    for place in service.places:
        told = place if place.startswith("/") else env.get(place) or _argument(words, place)
        if told.startswith("/"):
            yield PurePosixPath(told)


def _argument(words: list[str], option: str) -> str:
    for word, following in pairwise([*words, ""]):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option:
            return following
    return ""
