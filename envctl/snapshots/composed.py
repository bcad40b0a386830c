"""Whose data of a Compose file's services can be kept: all that it depends on is known, and is the same for every instance of the file.

Unlike what a definition of ours makes, it holds the passwords of its file, so these count in its key. In doubt it is not kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from envctl.definition.compose_networks import only_internal
from envctl.files.folders import FileRefused
from envctl.files.reading import files_below, open_file
from envctl.plan.model import Plan, ServicePlan

IDLE = frozenset(
    ("annotations", "attach", "container_name", "expose", "labels", "logging", "networks", "ports", "pull_policy", "restart",
     "stop_grace_period")
)  # fmt: skip
"""Keys that have no part in what a server writes at its first start."""
COUNTED = frozenset(
    ("cap_add", "cap_drop", "command", "cpus", "cpu_shares", "deploy", "healthcheck", "hostname", "init", "mem_limit", "mem_reservation",
     "memswap_limit", "secrets", "security_opt", "shm_size", "stdin_open", "tty", "ulimits", "volumes")
)  # fmt: skip
"""Keys whose values say all that they do. Any other one (`entrypoint`, `user`, `configs`, `tmpfs`...) may bring in anything."""
_PATH = re.compile(r"(?:^|[\s=:,])\.{0,2}/")
_PERSONAL = re.compile(r"RANDOM|ONETIME|MASTER|PRIMARY|REPLICA")
"""Variables with which an image draws a password, wants another one, or asks another server."""
SECRETS, SCRIPTS = "/run/secrets", "/docker-entrypoint-initdb.d"
SQL = (".sql",)
"""What is packed is not looked into, and may call programs."""
CALLS = re.compile(
    rb"(?:^|;)\s*(?:\\(?!c\b|connect\b|\.|N\b|set\b|echo\b|(?:un)?restrict\b)|\\.*`|source\b|system\b)|\\!|\\g\w*\s*\||\bPROGRAM\b"
    rb"|\bdblink|_fdw\b|\bSUBSCRIPTION\b|\bFEDERATED\b|\bCHANGE\s+(?:MASTER|REPLICATION)\b",
    re.MULTILINE | re.IGNORECASE,
)
"""Programs, other files, and other servers."""
Opened = Callable[[], io.BufferedIOBase]
MOST = 1 << 26
"""Bytes of a script that are looked through."""


def can_be_kept(plan: Plan, service: ServicePlan) -> bool:
    """Whether nothing but its image, its variables, its arguments and files that are read here decide about its data."""
    if service.needs or service.build is not None or not service.compose.keys() <= IDLE | COUNTED or not _is_long(service):
        return False
    if not (_is_alone(plan, service) and _is_unseen(plan, service)):
        return False
    return _words_are_plain(service) and _variables_are_plain(service) and _files_are_plain(plan, service)


def told(plan: Plan, service: ServicePlan) -> str:
    """A hash of all of it, passwords included. Its name, which others may see, says less of them than the data: it is slower than SCRAM."""
    given = {key: value for key, value in service.compose.items() if key not in (*IDLE, "volumes")}
    mounts = [mount["target"] for mount in _mounts(service)[0]]  # whatever a volume is called
    inputs = [given, mounts, service.entrypoint, service.command, {**service.env, **dict.fromkeys(service.unset)}, _digests(plan, service)]
    text = json.dumps(inputs, sort_keys=True, default=str).encode()
    return hashlib.scrypt(text, salt=b"envctl snapshot", n=1 << 12, r=8, p=1).hex()


def _is_long(service: ServicePlan) -> bool:
    """Whether its mounts and secrets are written as Compose resolves them; those that a definition adds need not be."""
    given = [*(service.compose.get("volumes") or ()), *(service.compose.get("secrets") or ())]
    return all(isinstance(each, Mapping) for each in given)


def _words_are_plain(service: ServicePlan) -> bool:
    """Whether its arguments are options: neither a script, nor the path of something that is nobody's business here."""
    words = [*map(str, service.compose.get("command") or ()), *service.command]
    return not any("/" in word or re.search(r"\s", word) for word in words)


def _variables_are_plain(service: ServicePlan) -> bool:
    """Whether they name no place but those of its data and of secrets, and no other server."""
    assert service.snapshot is not None
    places = [place for place in service.places if place.startswith("/")]
    for name, value in service.env.items():
        if (value and _PERSONAL.search(name)) or ".." in PurePosixPath(value).parts:
            return False
        if name in service.places and not any(PurePosixPath(value).is_relative_to(place) for place in places):
            return False
        if _PATH.search(value) and not any(PurePosixPath(value).is_relative_to(place) for place in (*places, SECRETS)):
            return False
    return True


def _is_alone(plan: Plan, service: ServicePlan) -> bool:
    """Whether nobody else sees its data: an ordinary volume of its own, or none but that of its image."""
    assert service.snapshot is not None
    mounts, _ = _mounts(service)
    others = [other.compose for other in plan.services.values() if other.name != service.name]
    if any(other.get("volumes_from") for other in others) or len(mounts) > 1:
        return False
    own, seen = {str(mount["source"]) for mount in mounts if mount.get("source")}, {name for other in others for name in _sources(other)}
    return not own & seen and all(_is_ordinary(plan, mount, service.places) for mount in mounts)


def _is_unseen(plan: Plan, service: ServicePlan) -> bool:
    """Whether its twin would be on networks of its own alone, since others might take it for the server; and be asked from outside."""
    networks = plan.compose_extra.get("networks", {})
    joined = service.compose.get("networks") or {"default": None}
    return not any((networks.get(name) or {}).get("external") for name in joined) and not only_internal(joined, networks)


def _is_ordinary(plan: Plan, mount: Mapping[str, Any], places: tuple[str, ...]) -> bool:
    if mount.get("type") != "volume" or mount.get("volume") or mount.get("read_only") or mount.get("target", "").rstrip("/") not in places:
        return False
    return not (plan.compose_extra.get("volumes", {}).get(mount.get("source")) or {}).keys() - {"labels"}


def _sources(compose: Mapping[str, Any]) -> Iterator[str]:
    """The volumes that a service mounts, in either way of writing."""
    for mount in compose.get("volumes") or []:
        yield str(mount.get("source")) if isinstance(mount, Mapping) else str(mount).partition(":")[0]


def _mounts(service: ServicePlan) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """What it mounts, and the first scripts among that by themselves."""
    mounts = service.compose.get("volumes") or []
    scripts = [each for each in mounts if each.get("type") == "bind" and PurePosixPath(each["target"]).is_relative_to(SCRIPTS)]
    return [each for each in mounts if each not in scripts], scripts


def _files_are_plain(plan: Plan, service: ServicePlan) -> bool:
    """Whether its secrets are files that can be read, and its first scripts are SQL alone."""
    project = plan.setting.project
    try:
        for _, path in _secrets(plan, service):
            open_file(path, project).close()
        streams: list[Opened] = [partial(open_file, path, project) for _, path in _scripts(plan, service)]
        streams += [file.open for path, file in service.files.items() if PurePosixPath(path).is_relative_to(SCRIPTS)]
        return not any(map(_calls_others, streams))
    except (FileRefused, OSError):
        return False


def _digests(plan: Plan, service: ServicePlan) -> list[tuple[str, str]] | None:
    """Where each of its secrets and first scripts lies, and the hash of what it is; None where one cannot be read any more."""
    try:
        found = [*_secrets(plan, service), *_scripts(plan, service)]
        return [(target, _digest(path, plan.setting.project)) for target, path in found]
    except (FileRefused, OSError):
        return None


def _secrets(plan: Plan, service: ServicePlan) -> Iterator[tuple[str, Path]]:
    for given in service.compose.get("secrets") or []:
        file = (plan.compose_extra.get("secrets", {}).get(given["source"]) or {}).get("file")
        if not file:
            raise FileRefused(f"the secret {given['source']} is not a file")
        yield str(given.get("target") or given["source"]), _path(plan, file)


def _scripts(plan: Plan, service: ServicePlan) -> Iterator[tuple[str, Path]]:
    """Those of SQL: a shell script may ask anybody anything, and so may a program that SQL calls."""
    if any(PurePosixPath(path).is_relative_to(SCRIPTS) and not path.endswith(SQL) for path in service.files):
        raise FileRefused("it has an initialisation script that is not SQL")
    for mount in _mounts(service)[1]:
        source = _path(plan, mount["source"])
        for path in files_below(source, plan.setting.project) if source.is_dir() else [source]:
            if not path.name.endswith(SQL):
                raise FileRefused(f"{path} is not SQL")
            yield str(PurePosixPath(mount["target"], path.relative_to(source))), path


def _calls_others(opened: Opened) -> bool:
    """Whether it may run programs, read other files or ask other servers, as far as its text tells."""
    with opened() as stream:
        return bool(CALLS.search(stream.read(MOST + 1))) or stream.tell() > MOST


def _path(plan: Plan, text: object) -> Path:
    """As Compose means it, which doubles a literal `$`, and takes it from its project's folder."""
    return plan.folder / str(text).replace("$$", "$")


def _digest(path: Path, project: Path) -> str:
    with open_file(path, project) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
