"""What a container that has its own daemon's socket binds: the daemon looks for it on its machine, where the same files lie elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from envctl.errors import UsageError

Mounts = Sequence[tuple[PurePosixPath, PurePosixPath]]
"""Where something is mounted in our container, and where that is on the daemon's machine."""


def mounts_of(container: Mapping[str, Any]) -> Mounts:
    """Those of what the daemon tells of our container, the deepest first."""
    found = [
        (PurePosixPath(str(each["Destination"])), PurePosixPath(str(each["Source"])))
        for each in container.get("Mounts") or []
        if each.get("Source")
    ]
    return sorted(found, key=lambda mount: -len(mount[0].parts))


def as_on_its_machine(document: Mapping[str, Any], mounts: Mounts, folder: Path, project: Path) -> dict[str, Any]:
    """A Compose *document* whose bind mounts, secrets and configs name the paths of the daemon's machine.

    Args:
        folder: what relative paths begin in.
        project: what lies in it is ours, and so is not meant to be the machine's own.

    Raises:
        UsageError: something of the project is only in our container, where the daemon cannot take it from.
    """

    def moved(path: str) -> str:
        plain = PurePosixPath(folder, path.replace("$$", "$"))
        for inside, outside in mounts:
            if plain.is_relative_to(inside):
                return str(outside / plain.relative_to(inside)).replace("$", "$$")
        if plain.is_relative_to(project):
            message = f"{plain} is only in the container that envctl runs in, and Docker mounts what its own machine has"
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
    """In the long form, or in the short one if it names a path and no volume."""
    if isinstance(volume, str):
        source, colon, rest = volume.partition(":")
        return f"{moved(source)}:{rest}" if colon and source.startswith((".", "/")) else volume
    return {**volume, "source": moved(str(volume["source"]))} if volume.get("type") == "bind" and volume.get("source") else volume
