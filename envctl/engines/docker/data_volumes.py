"""In which volumes a service has its data, where no kind of ours gives it one: by these its data is known, and with these it goes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from envctl.definition.source import map_texts
from envctl.engines.docker.api import ApiError, Daemon
from envctl.instance.labels import DATA
from envctl.plan.model import Plan, ServicePlan

ANONYMOUS = re.compile(r"[0-9a-f]{64}")


class Named(NamedTuple):
    """A volume with a name of its own: what its file calls it, and what the daemon does."""

    source: str
    name: str
    external: bool


class _Mount(NamedTuple):
    source: str
    target: str


def may_have(service: ServicePlan) -> bool:
    """Whether it can matter: of a server it is known where it keeps data; of other programs nobody asks, unless they are seeded."""
    return bool(service.places or service.steps)


def named(plan: Plan, service: ServicePlan) -> list[Named]:
    """Those with names in which *plan* has the data of *service*."""
    given = plan.compose_extra.get("volumes", {})
    found = []
    for source in dict.fromkeys(mount.source for mount in _planned(service) if mount.source and _holds(service, mount.target, service.env)):
        told = given.get(source) or {}
        external = bool(told.get("external"))
        found.append(Named(source, str(told.get("name") or source) if external else f"{plan.setting.id}_{source}", external))
    return found


def in_container(service: ServicePlan, seen: Mapping[str, Any]) -> list[str]:
    """The names of those that its container, as the daemon shows it, has; without any of them it has its data itself.

    One without a name of its own counts where no other does. Compose hands it on to the next container.
    """
    env = dict(text.partition("=")[::2] for text in (seen.get("Config") or {}).get("Env") or ())
    mounts = [each for each in seen.get("Mounts") or () if each.get("Type") == "volume" and each.get("RW", True)]
    # What the file itself gives no name covers a folder of the sources, as a rule (`node_modules`).
    idle = set() if service.places else {PurePosixPath(mount.target) for mount in _planned(service) if not mount.source}
    targets = ((str(each["Name"]), str(each["Destination"])) for each in mounts)
    held = [name for name, target in targets if PurePosixPath(target) not in idle and _holds(service, target, env)]
    return [name for name in held if not ANONYMOUS.fullmatch(name)] or held


def known_as(daemon: Daemon, names: Iterable[str]) -> str:
    """What tells the data in these volumes from any other; empty where none of them is there.

    When a volume was made says nothing (`make_volumes`): one without a mark of ours is known by its name.
    """
    there = [(name, daemon.find(f"/volumes/{name}")) for name in sorted(names)]
    return " ".join(str((its.get("Labels") or {}).get(DATA) or name) for name, its in there if its is not None)


def make(daemon: Daemon, plan: Plan, given: Mapping[str, Any]) -> None:
    """Those of *plan* that are not there, as Compose would make them, with a mark by which their data is known.

    Args:
        given: the volumes of the file that Compose gets.
    """
    its = {each.source for service in plan.services.values() for each in named(plan, service) if not each.external}
    for source in sorted(its & given.keys()):
        told = map_texts(lambda text: text.replace("$$", "$"), given[source])
        marks = {"com.docker.compose.project": plan.setting.id, "com.docker.compose.volume": source, DATA: secrets.token_hex(8)}
        body = {"Name": told["name"], "Labels": {**told.get("labels", {}), **marks}}
        body |= {ours: told[theirs] for ours, theirs in (("Driver", "driver"), ("DriverOpts", "driver_opts")) if told.get(theirs)}
        try:
            daemon.request("POST", "/volumes/create", body=body)
        except ApiError:
            continue  # Compose tries it once more, and says why it cannot be


def target_of(mount: Any) -> str:
    """Where a volume is mounted, in either way of writing."""
    if isinstance(mount, Mapping):
        return str(mount.get("target", ""))
    return [*str(mount).split(":"), ""][1] if ":" in str(mount) else str(mount)


def _planned(service: ServicePlan) -> Iterator[_Mount]:
    """The volumes that it mounts to write into, in either way of writing."""
    for mount in service.compose.get("volumes") or []:
        if isinstance(mount, Mapping):
            if mount.get("type") == "volume" and not mount.get("read_only"):
                yield _Mount(str(mount.get("source") or ""), target_of(mount))
            continue
        source, _, how, *_ = [*str(mount).split(":"), "", ""] if ":" in str(mount) else ["", "", ""]
        if not source.startswith((".", "/", "~")) and "ro" not in how.split(","):
            yield _Mount(source, target_of(mount))


def _holds(service: ServicePlan, target: str, env: Mapping[str, str]) -> bool:
    """Whether what is mounted at *target* has data in it."""
    if not service.places:
        return bool(service.steps)
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
