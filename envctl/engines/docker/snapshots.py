"""Snapshots as images: the data is in a folder that no VOLUME covers, in a layer on top of the server's own image.

The image is made from a container that never ran, into which only the data is copied: it contains nothing else of the server's
container, such as its environment variables.
"""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, cast

from envctl.engines.docker.api import NOT_FOUND, ApiError, Daemon
from envctl.engines.docker.connection import Connection, sdk_errors
from envctl.engines.docker.data_volumes import target_of
from envctl.engines.docker.images_without_volumes import without_volumes
from envctl.engines.docker.snapshot_copies import kept_folder, only_volume
from envctl.engines.kept_images import begun
from envctl.engines.protocol import Saved
from envctl.errors import EnvctlError
from envctl.instance.folder import snapshots_folder
from envctl.instance.identity import user_key
from envctl.instance.labels import IMAGE, INSTANCE, SNAPSHOT, SNAPSHOT_USER
from envctl.plan.model import ServicePlan
from envctl.process.creation import InFlight

REPOSITORY = "envctl/snapshot"
REF = re.compile(f"{REPOSITORY}:[0-9a-f]{{32}}")
LARGEST_LIST = 4_000_000
"""The largest list of images in a file, in bytes."""
COPYING = 600
"""The additional seconds that the daemon may take to write an image."""


def restored(service: ServicePlan, ref: str, base: Mapping[str, Any], *, moved: bool = False) -> ServicePlan:
    """Return *service* with its data from the image *ref*, outside every volume.

    Args:
        base: the server's own image, as the daemon describes it.
        moved: whether the data has moved to a volume at the same path since.
    """
    config = base["Config"]
    found = begun(service, service.image if moved else ref, config.get("Entrypoint") or (), config.get("Cmd") or ())
    labels = {**service.labels, IMAGE: f"{service.image} {base['Id']}"}
    return replace(found, data=found.data if moved else None, labels=labels)


def as_planned(service: ServicePlan, ref: str, base: Mapping[str, Any], folder: str) -> ServicePlan:
    """Return *service* of a Compose file, running from the image *ref*, which has its data at the usual path *folder*."""
    others = [mount for mount in service.compose.get("volumes") or [] if target_of(mount).rstrip("/") != folder]
    labels = {**service.labels, IMAGE: f"{service.image} {base['Id']}"}
    return replace(service, image=ref, compose={**service.compose, "volumes": others}, labels=labels)


def save(connection: Connection, container: str, service: ServicePlan, key: str, id: str, in_flight: InFlight) -> Saved:
    """Save the data of *container*, which has been stopped, as an image. Its name comes last: an image without a name is not used.

    Raises:
        EnvctlError: the server did not end cleanly.
    """
    api = cast(Any, connection.api)
    state = api.inspect_container(container)["State"]
    if state["Running"] or state["ExitCode"]:
        raise EnvctlError(f"{service.name} did not end cleanly ({state['ExitCode']}): its data is not kept")
    labels = {SNAPSHOT: key, SNAPSHOT_USER: user_key(snapshots_folder(connection.environ)), INSTANCE: ""}
    base, source, target = _places(connection, service, labels)
    with in_flight.creating():  # the label ensures that it is removed with the instance
        made = api.create_container(base, labels={INSTANCE: id})["Id"]
    if base == service.image:
        api.put_archive(made, "/", _folder(str(target.parent), service.user or 0))
    data, _ = api.get_archive(container, source)
    api.put_archive(made, str(target.parent), data)
    query = {"container": made, "pause": "0"}
    image = connection.daemon.request("POST", "/commit", query, patience=COPYING, body={"Labels": labels})["Id"]
    api.tag(image, REPOSITORY, key)
    size = api.inspect_image(image)["Size"] - api.inspect_image(service.image)["Size"]
    return Saved(f"{REPOSITORY}:{key}", image, size)


def _places(connection: Connection, service: ServicePlan, labels: Mapping[str, str]) -> tuple[str, str, PurePosixPath]:
    """Return the image to which the data is added, the folder of the data, and its folder in the snapshot."""
    assert service.snapshot is not None
    if not service.from_compose:
        assert service.data is not None
        return service.image, service.data, PurePosixPath(service.snapshot.folder)
    folder = only_volume(connection.daemon, service.image)
    if base := without_volumes(connection, service.image, labels):
        return base, folder, PurePosixPath(folder)
    return service.image, folder, PurePosixPath(kept_folder(service, folder))


def _folder(path: str, user: int) -> bytes:
    """Return a tar with an empty folder that belongs to *user*."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o755, user, user
        tar.addfile(entry)
    return packed.getvalue()


def image_id(daemon: Daemon, ref: str) -> str:
    """Return the id of the image *ref*; empty if the image does not exist.

    Raises:
        EnvctlError: the daemon cannot find this out.
    """
    try:
        found = daemon.find(f"/images/{ref}/json")
    except ApiError as error:
        raise EnvctlError(f"Docker cannot tell whether {ref} exists: {error}") from None
    return str(found["Id"]) if found else ""


def remove(daemon: Daemon, ref: str) -> bool:
    """Remove the image, and return whether it is gone; an image that a container uses stays."""
    try:
        daemon.request("DELETE", f"/images/{ref}", patience=60)
    except ApiError as error:
        return error.status == NOT_FOUND
    return True


def kept(connection: Connection) -> Sequence[tuple[str, str]]:
    """Return name and key of each snapshot of this user; an incomplete snapshot has an id instead of a name."""
    label = f"{SNAPSHOT_USER}={user_key(snapshots_folder(connection.environ))}"
    found = connection.daemon.get("/images/json", filters={"label": [label]})
    return [(ref, image["Labels"][SNAPSHOT]) for image in found for ref in _names(image) or [image["Id"]]]


def _names(image: Mapping[str, Any]) -> list[str]:
    return [tag for tag in image["RepoTags"] or [] if not tag.startswith("<none>")]


def write(connection: Connection, ref: str, file: Path) -> None:
    """Write the image to *file* as `docker save` does, including the server's own image."""
    with file.open("wb") as target:
        for piece in connection.api.get_image(ref):
            target.write(piece)


def read(connection: Connection, ref: str, file: Path) -> str:
    """Load the image *ref* from *file*, and return its id.

    Raises:
        EnvctlError: the file is not an image, or contains another name, which might replace an image of another program.
    """
    if not REF.fullmatch(ref):  # any other name might replace an image that is in use
        raise EnvctlError(f"{file}: '{ref}' is not the name of a snapshot")
    try:
        if names_in(file) != {ref}:
            raise EnvctlError(f"{file} contains something other than {ref}")
        with file.open("rb") as source:
            answer = cast(Any, connection.api).load_image(source) or ()
            failed = [told["error"] for told in answer if isinstance(told, dict) and told.get("error")]
    except (tarfile.TarError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise EnvctlError(f"{file} is not an image: {error}") from None
    except sdk_errors.APIError as error:
        failed = [error.explanation or error]
    if failed or not image_id(connection.daemon, ref):
        raise EnvctlError(f"{file}: Docker cannot load it: {failed[0] if failed else 'it gave no reason'}")
    return image_id(connection.daemon, ref)


def names_in(file: Path) -> set[str]:
    """Return the names that `docker load` gives to the images in *file*: those in Docker's own list, and in that of the OCI layout."""
    found: set[str] = set()
    with tarfile.open(file, "r:") as tar:
        for member in tar:
            name = os.path.normpath(member.name).lstrip("/")  # the path after unpacking
            if name == "manifest.json":
                found |= {tag for image in _listed(tar, member) for tag in image["RepoTags"] or ()}
            elif name == "index.json":
                found |= {_oci_name(each.get("annotations") or {}) for each in _listed(tar, member)["manifests"]} - {""}
            elif name == "repositories":
                found |= {f"{name}:{tag}" for name, tags in _listed(tar, member).items() for tag in tags}
    return found


def _listed(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    if not member.isreg() or member.size > LARGEST_LIST:
        raise ValueError(f"{member.name} is not a list of images")
    return json.load(tar.extractfile(member))  # type: ignore[arg-type]


def _oci_name(annotations: Mapping[str, str]) -> str:
    """Return the full name of an image; without a full name, return the name that containerd uses instead."""
    name = annotations.get("io.containerd.image.name") or annotations.get("org.opencontainers.image.ref.name") or ""
    return name.removeprefix("docker.io/")
