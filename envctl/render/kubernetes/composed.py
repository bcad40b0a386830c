"""Translate what a Compose file says about a service into what a pod supports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, islice
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from envctl.files.reading import files_below
from envctl.plan.addressing import dns_label
from envctl.plan.files import read
from envctl.plan.model import File, Plan, ServicePlan

MOST_FILES, MOST_BYTES = 50, 512 << 10

TRANSLATED = (
    "command",
    "entrypoint",
    "healthcheck",
    "ports",
    "user",
    "working_dir",
    "volumes",
    "tmpfs",
    "deploy",
    "stop_grace_period",
    "configs",
    "secrets",
)
UNSAID = ("networks", "init", "labels", "expose", "tty", "stdin_open", "restart", "develop", "attach")
"""Keys that make no difference in a pod, or that envctl replaces by something else."""


class Composed(NamedTuple):
    """Settings of a Compose service for its container. Resources are Compose's texts, for example `cpus: "0.5"`."""

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    user: int | None = None
    folder: str = ""
    writable: tuple[str, ...] = ()
    resources: Mapping[str, str] | None = None
    reservations: Mapping[str, str] | None = None


def composed(service: ServicePlan) -> Composed:
    """Return the settings of the Compose file that apply to the main container of *service*."""
    given = service.compose if service.from_compose else {}
    user = str(given.get("user", "")).partition(":")[0]
    return Composed(
        command=_words(given.get("entrypoint")),
        args=_words(given.get("command")),
        user=int(user) if user.isdigit() and int(user) > 0 else None,
        folder=str(plain(given.get("working_dir", ""))),
        writable=tuple(dict.fromkeys(_writable(given))),
        resources=given.get("deploy", {}).get("resources", {}).get("limits"),
        reservations=given.get("deploy", {}).get("resources", {}).get("reservations"),
    )


def plain(value: Any) -> Any:
    """Return *value* with `$$` replaced by `$`, because `docker compose config` doubles each literal `$`."""
    return value.replace("$$", "$") if isinstance(value, str) else value


def _words(value: Any) -> tuple[str, ...]:
    return tuple(str(plain(word)) for word in value) if isinstance(value, list) else (str(plain(value)),) if value else ()


def _writable(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of volumes and in-memory file systems. Bind mounts are not among them."""
    tmpfs = given.get("tmpfs", [])
    yield from (str(path).partition(":")[0].rstrip("/") for path in ([tmpfs] if isinstance(tmpfs, str) else tmpfs))
    for volume in given.get("volumes", []):
        if isinstance(volume, Mapping) and volume.get("type") in ("volume", "tmpfs") and volume.get("target"):
            yield str(plain(volume["target"])).rstrip("/")


def composed_probe(service: ServicePlan) -> dict[str, Any] | None:
    """Return the probe for the health check in the Compose file; None if it has none."""
    given = service.compose.get("healthcheck")
    test = given.get("test") if isinstance(given, Mapping) and not given.get("disable") else None
    return exec_probe([str(plain(word)) for word in test]) if isinstance(test, list) else None


def exec_probe(test: Sequence[str]) -> dict[str, Any] | None:
    """Return the probe for Compose's `test`: CMD with arguments, or CMD-SHELL with a text. For NONE, return None."""
    if not test or test[0] == "NONE":
        return None
    words = test[1:] if test[0] == "CMD" else ["sh", "-c", *test[1:]] if test[0] == "CMD-SHELL" else test
    return {"exec": {"command": list(words)}}


def composed_files(plan: Plan, service: ServicePlan) -> dict[str, File]:
    """Return the files that the Compose file puts into the service: bind mounts of project files (a copy), configs and secrets."""
    if not service.from_compose:
        return {}
    found: dict[str, File] = {}
    for volume in _bound(service):
        source, target = Path(str(plain(volume["source"]))), str(plain(volume["target"]))
        if is_copied(plan, source):
            project = plan.setting.project
            found |= {str(PurePosixPath(target, path.relative_to(source))): read(path, project) for path in _files(source, project)}
    for what, folder in (("configs", "/"), ("secrets", "/run/secrets/")):
        for given in service.compose.get(what) or []:
            file = _shared(plan, what, given)
            if file is not None:
                found[str(PurePosixPath(folder, str(plain(given.get("target") or given["source"]))))] = file
    return found


def _bound(service: ServicePlan) -> list[Mapping[str, Any]]:
    given = service.compose.get("volumes") or []
    return [each for each in given if isinstance(each, Mapping) and each.get("type") == "bind" and each.get("source")]


def is_copied(plan: Plan, source: Path) -> bool:
    """Return whether the bind mount *source* is copied: at most MOST_FILES files of the project with MOST_BYTES bytes in total.

    A larger folder is usually a source tree bound for development, which the image contains anyway.
    """
    if not source.resolve().is_relative_to(plan.setting.project.resolve()):
        return False
    files = list(islice(_files(source, plan.setting.project), MOST_FILES + 1))
    return 0 < len(files) <= MOST_FILES and sum(path.stat().st_size for path in files) <= MOST_BYTES


def _files(source: Path, project: Path) -> Iterator[Path]:
    yield from [source] if source.is_file() else files_below(source, project) if source.is_dir() else []


def _shared(plan: Plan, what: str, mount: Mapping[str, Any]) -> File | None:
    """Return a config or secret that the Compose file defines; None if its variable is not set, or if it is external."""
    given = plan.compose_extra.get(what, {}).get(mount.get("source")) or {}
    if (name := given.get("environment")) in plan.compose_variables:
        return File(text=plan.compose_variables[str(name)], secret=what == "secrets")
    if isinstance(given.get("content"), str):
        return File(text=plain(given["content"]))
    path = Path(str(given.get("file", "")))
    return read(path, plan.setting.project) if path.is_file() else None


def aliases(service: ServicePlan) -> list[str]:
    """Return the network aliases in the Compose file that are valid names in a cluster."""
    given = service.compose.get("networks") if service.from_compose else None
    networks = given.values() if isinstance(given, Mapping) else []
    names = [str(alias) for network in networks if network for alias in network.get("aliases") or []]
    return [name for name in dict.fromkeys(names) if name == dns_label(name) and name != dns_label(service.name)]


def kept_apart(services: Iterable[ServicePlan]) -> list[str]:
    """Return the networks of a Compose file if some of *services* have no network in common; otherwise an empty list."""
    composed = [service.compose for service in services if service.from_compose and "network_mode" not in service.compose]
    joined = {frozenset(given.get("networks") or ("default",)) for given in composed}
    apart = any(one.isdisjoint(other) for one, other in combinations(joined, 2))
    return sorted(frozenset().union(*joined)) if apart else []


def composed_losses(plan: Plan, service: ServicePlan) -> Iterator[str]:
    """Yield descriptions of what a pod does not support of the service's Compose file."""
    if not service.from_compose:
        if service.compose:
            yield f"`compose:` ({', '.join(service.compose)}) has no effect here; use `kubernetes:` for the same"
        return
    given = service.compose
    for volume in _bound(service):
        if is_copied(plan, Path(str(plain(volume["source"])))):
            yield f"{volume['source']} is copied to {volume['target']} as it is now: a pod has no folders of this machine"
        else:
            yield f"{volume['source']} is not on {volume['target']}: a pod has no folders of this machine, and only small ones are copied"
    for volume in given.get("volumes", []):
        if isinstance(volume, Mapping) and volume.get("type") == "volume" and volume.get("source"):
            yield f"the volume {volume['source']} is an empty folder of the pod's own"
    for what in ("configs", "secrets"):
        for each in given.get(what) or []:
            if _shared(plan, what, each) is None:
                yield f"{what}: {each.get('source')}, which is neither a file, text nor a variable that is set"
    user = str(given.get("user", "")).partition(":")[0]
    if user and not (user.isdigit() and int(user) > 0) and (user in ("0", "root") or not (service.user or service.pod.user)):
        yield f"`user: {user}` of its Compose file: a pod's user is a number, and not root's"
    left = [key for key, value in given.items() if key not in (*TRANSLATED, *UNSAID) and not _as_in_a_pod(key, value)]
    if left:
        yield f"of its Compose file: {', '.join(left)}"


def _as_in_a_pod(key: str, value: Any) -> bool:
    """Return whether a pod behaves like this setting anyway.

    A pod reaches other services by name, its logs are kept on the node, and missing images are pulled.
    """
    if key == "links":
        return all(alias in ("", name) for name, _, alias in (str(link).partition(":") for link in value))
    if key == "logging":
        return value.get("driver", "json-file") in ("json-file", "local")
    return key == "pull_policy" and value in ("missing", "if_not_present", "build")
