"""Bind mounts if envctl runs in a container with its own daemon's socket: the same files have other paths on the daemon's machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from envctl.errors import UsageError

Mounts = Sequence[tuple[PurePosixPath, PurePosixPath]]
"""Pairs of a path in envctl's container and the path of the same files on the daemon's machine."""


def mounts_of(container: Mapping[str, Any]) -> Mounts:
    """Return the mounts of envctl's container, the deepest first.

    Args:
        container: envctl's container, as the daemon describes it.
    """
    found = [
        (PurePosixPath(str(each["Destination"])), PurePosixPath(str(each["Source"])))
        for each in container.get("Mounts") or []
        if each.get("Source")
    ]
    return sorted(found, key=lambda mount: -len(mount[0].parts))


def as_on_its_machine(document: Mapping[str, Any], mounts: Mounts, folder: Path, project: Path) -> dict[str, Any]:
    """Return the Compose *document* with paths of the daemon's machine for bind mounts, secrets and configs.

    Args:
        folder: the folder to which relative paths refer.
        project: the project's folder; paths in it never mean files of the daemon's machine.

    Raises:
        UsageError: a file of the project exists only in envctl's container, from where the daemon cannot mount it.
    """

    def moved(path: str) -> str:
        plain = PurePosixPath(folder, path.replace("$$", "$"))
        for inside, outside in mounts:
            if plain.is_relative_to(inside):
                return str(outside / plain.relative_to(inside)).replace("$", "$$")
        if plain.is_relative_to(project):
            message = f"{plain} is only in the container that envctl runs in, but Docker mounts paths of its own machine"
            raise UsageError(message, hint=f"mount the project there from outside: `docker run -v {project}:{project} ...`")
        return path

    services = {name: {**service, **_volumes(service, moved)} for name, service in document["services"].items()}
    shared = {
        what: {name: {**each, "file": moved(each["file"])} if (each or {}).get("file") else each for name, each in document[what].items()}
        for what in ("secrets", "configs")
        if document.get(what)
    }
    return {**document, "services": services, **shared}


def _volumes(service: Mapping[str, Any], moved: Any) -> dict[str, Any]:
    volumes = service.get("volumes")
    return {"volumes": [_volume(each, moved) for each in volumes]} if volumes else {}


def _volume(volume: Any, moved: Any) -> Any:
    """Return *volume* with the moved path; the short syntax may name a volume, which stays unchanged."""
    if isinstance(volume, str):
        source, colon, rest = volume.partition(":")
        return f"{moved(source)}:{rest}" if colon and source.startswith((".", "/")) else volume
    return {**volume, "source": moved(str(volume["source"]))} if volume.get("type") == "bind" and volume.get("source") else volume
