"""A check whether the data of a Compose file's service can be kept: everything that affects it must be known and equal for all instances.

Unlike the data of other services, it contains the passwords of the file, so its key depends on them. If in doubt, the data is not kept.
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
"""Keys that do not affect what a server writes at its first start."""
COUNTED = frozenset(
    ("cap_add", "cap_drop", "command", "cpus", "cpu_shares", "deploy", "healthcheck", "hostname", "init", "mem_limit", "mem_reservation",
     "memswap_limit", "secrets", "security_opt", "shm_size", "stdin_open", "tty", "ulimits", "volumes")
)  # fmt: skip
"""Keys whose whole effect follows from their values. Any other key (`entrypoint`, `user`, `configs`, `tmpfs`...) may have any effect."""
_PATH = re.compile(r"(?:^|[\s=:,])\.{0,2}/")
_PERSONAL = re.compile(r"RANDOM|ONETIME|MASTER|PRIMARY|REPLICA")
"""Matches variables with which an image generates a password, expires one, or connects to another server."""
SECRETS, SCRIPTS = "/run/secrets", "/docker-entrypoint-initdb.d"
SQL = (".sql",)
"""The endings of the scripts that are searched. Compressed scripts are refused, because they may call programs."""
CALLS = re.compile(
    rb"(?:^|;)\s*(?:\\(?!c\b|connect\b|\.|N\b|set\b|echo\b|(?:un)?restrict\b)|\\.*`|source\b|system\b)|\\!|\\g\w*\s*\||\bPROGRAM\b"
    rb"|\bdblink|_fdw\b|\bSUBSCRIPTION\b|\bFEDERATED\b|\bCHANGE\s+(?:MASTER|REPLICATION)\b",
    re.MULTILINE | re.IGNORECASE,
)
"""Matches calls of programs, and access to other files and other servers."""
Opened = Callable[[], io.BufferedIOBase]
MOST = 1 << 26
"""The maximum size, in bytes, of a script that is searched."""


def can_be_kept(plan: Plan, service: ServicePlan) -> bool:
    """Return whether the data depends only on the image, the variables, the arguments and files that are read here."""
    if service.needs or service.build is not None or not service.compose.keys() <= IDLE | COUNTED or not _is_long(service):
        return False
    if not (_is_alone(plan, service) and _is_unseen(plan, service)):
        return False
    return _words_are_plain(service) and _variables_are_plain(service) and _files_are_plain(plan, service)


def told(plan: Plan, service: ServicePlan) -> str:
    """Return a hash of everything that the data depends on, including passwords.

    The hash is part of a name that other users may see. It is slower to compute than SCRAM, so it reveals less of the passwords than the
    data does.
    """
    given = {key: value for key, value in service.compose.items() if key not in (*IDLE, "volumes")}
    mounts = [mount["target"] for mount in _mounts(service)[0]]  # the name of a volume does not matter
    inputs = [given, mounts, service.entrypoint, service.command, {**service.env, **dict.fromkeys(service.unset)}, _digests(plan, service)]
    text = json.dumps(inputs, sort_keys=True, default=str).encode()
    return hashlib.scrypt(text, salt=b"envctl snapshot", n=1 << 12, r=8, p=1).hex()


def _is_long(service: ServicePlan) -> bool:
    """Return whether mounts and secrets are in Compose's long form. Files are resolved to it, but a definition may use the short form."""
    given = [*(service.compose.get("volumes") or ()), *(service.compose.get("secrets") or ())]
    return all(isinstance(each, Mapping) for each in given)


def _words_are_plain(service: ServicePlan) -> bool:
    """Return whether the arguments are options only, without scripts and without paths."""
    words = [*map(str, service.compose.get("command") or ()), *service.command]
    return not any("/" in word or re.search(r"\s", word) for word in words)


def _variables_are_plain(service: ServicePlan) -> bool:
    """Return whether the variables name no paths except those of data and secrets, and no other servers."""
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
    """Return whether no other service sees the data: it is in an ordinary volume of this service, or in the image's own."""
    assert service.snapshot is not None
    mounts, _ = _mounts(service)
    others = [other.compose for other in plan.services.values() if other.name != service.name]
    if any(other.get("volumes_from") for other in others) or len(mounts) > 1:
        return False
    own, seen = {str(mount["source"]) for mount in mounts if mount.get("source")}, {name for other in others for name in _sources(other)}
    return not own & seen and all(_is_ordinary(plan, mount, service.places) for mount in mounts)


def _is_unseen(plan: Plan, service: ServicePlan) -> bool:
    """Return whether a twin (the instance that makes the data) is reachable from outside, and hidden from services that want the server."""
    networks = plan.compose_extra.get("networks", {})
    joined = service.compose.get("networks") or {"default": None}
    return not any((networks.get(name) or {}).get("external") for name in joined) and not only_internal(joined, networks)


def _is_ordinary(plan: Plan, mount: Mapping[str, Any], places: tuple[str, ...]) -> bool:
    if mount.get("type") != "volume" or mount.get("volume") or mount.get("read_only") or mount.get("target", "").rstrip("/") not in places:
        return False
    return not (plan.compose_extra.get("volumes", {}).get(mount.get("source")) or {}).keys() - {"labels"}


def _sources(compose: Mapping[str, Any]) -> Iterator[str]:
    """Yield the volumes that a service mounts, in Compose's short or long form."""
    for mount in compose.get("volumes") or []:
        yield str(mount.get("source")) if isinstance(mount, Mapping) else str(mount).partition(":")[0]


def _mounts(service: ServicePlan) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return the mounts of the service, and separately those of its initialisation scripts."""
    mounts = service.compose.get("volumes") or []
    scripts = [each for each in mounts if each.get("type") == "bind" and PurePosixPath(each["target"]).is_relative_to(SCRIPTS)]
    return [each for each in mounts if each not in scripts], scripts


def _files_are_plain(plan: Plan, service: ServicePlan) -> bool:
    """Return whether the secrets are readable files, and the initialisation scripts are only SQL."""
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
    """Return the path and the hash of each secret and initialisation script; None if a file cannot be read any more."""
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
    """Yield the scripts, which must be SQL: a shell script may contact other servers, and so may a program that SQL calls."""
    if any(PurePosixPath(path).is_relative_to(SCRIPTS) and not path.endswith(SQL) for path in service.files):
        raise FileRefused("it has an initialisation script that is not SQL")
    for mount in _mounts(service)[1]:
        source = _path(plan, mount["source"])
        for path in files_below(source, plan.setting.project) if source.is_dir() else [source]:
            if not path.name.endswith(SQL):
                raise FileRefused(f"{path} is not SQL")
            yield str(PurePosixPath(mount["target"], path.relative_to(source))), path


def _calls_others(opened: Opened) -> bool:
    """Return whether the script may run programs, read other files or contact other servers, judged by its text."""
    with opened() as stream:
        return bool(CALLS.search(stream.read(MOST + 1))) or stream.tell() > MOST


def _path(plan: Plan, text: object) -> Path:
    """Return the path that Compose means: `$$` stands for `$`, and a relative path starts at the project's folder."""
    return plan.folder / str(text).replace("$$", "$")


def _digest(path: Path, project: Path) -> str:
    with open_file(path, project) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
