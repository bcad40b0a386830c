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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, cast

from envctl.engines.docker.api import NOT_FOUND, ApiError, Daemon
from envctl.engines.docker.connection import Connection, sdk_errors
from envctl.engines.docker.containers_and_volumes import remove_container
from envctl.engines.docker.images_without_volumes import without_volumes
from envctl.engines.docker.snapshot_copies import kept_folder, mounts_elsewhere, only_volume
from envctl.engines.kept_images import begun
from envctl.engines.protocol import Saved
from envctl.errors import EnvctlError
from envctl.instance.folder import snapshots_folder
from envctl.instance.identity import user_key
from envctl.instance.labels import IMAGE, INSTANCE, SERVICE, SNAPSHOT, SNAPSHOT_USER
from envctl.instance.record import SnapshotRecord
from envctl.plan.model import ServicePlan
from envctl.process.creation import InFlight

REPOSITORY = "envctl/snapshot"
REF = re.compile(f"{REPOSITORY}:[0-9a-f]{{32}}")
LARGEST_LIST = 4_000_000
"""The largest list of images in a file, in bytes."""
COPYING = 600
"""The additional seconds that the daemon may take to write an image."""


def restored(service: ServicePlan, ref: str, server: ServerImage, *, moved: bool = False) -> ServicePlan:
    """Return *service* with its data from the image *ref*, outside every volume.

    Args:
        moved: whether the data has moved to a volume at the same path since.
    """
    found = begun(service, service.image if moved else ref, server.entrypoint, server.command)
    return replace(found, data=found.data if moved else None, labels=_with_server(service, server))


def run_from(service: ServicePlan, ref: str, server: ServerImage, place: str) -> ServicePlan:
    """Return *service* of a Compose file, running from the image *ref*, which has its data at the usual path *place*.

    The image is on this machine alone, so a policy for pulling it is left out.
    """
    given = {key: value for key, value in service.compose.items() if key != "pull_policy"}
    compose = {**given, "volumes": mounts_elsewhere(service, place)}
    return replace(service, image=ref, compose=compose, labels=_with_server(service, server))


def _with_server(service: ServicePlan, server: ServerImage) -> Mapping[str, str]:
    """Return the labels of *service* with the server's own image, so that another one recreates the container."""
    return {**service.labels, IMAGE: f"{service.image} {server.id}"}


class ServerImage(NamedTuple):
    """A server's own image: its id (empty if it is not known), entry point and command."""

    id: str
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()


def server_image(daemon: Daemon, service: ServicePlan, kept: SnapshotRecord, containers: Sequence[Mapping[str, Any]]) -> ServerImage:
    """Return the server's own image; if it does not exist here, what its snapshot and the service's container tell of it."""
    if found := daemon.find(f"/images/{service.image}/json"):
        return _server_image(str(found["Id"]), found)
    marks = [str(each["Labels"].get(IMAGE, "")) for each in containers if each["Labels"].get(SERVICE) == service.name]
    id = next((mark.rpartition(" ")[2] for mark in marks if mark.startswith(f"{service.image} ")), "")
    return _server_image(id, daemon.find(f"/images/{kept.content}/json") or {})


def _server_image(id: str, seen: Mapping[str, Any]) -> ServerImage:
    config = seen.get("Config") or {}
    return ServerImage(id, config.get("Entrypoint") or (), config.get("Cmd") or ())


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
    helpers = _Helpers(connection, container, service, id, in_flight)
    made = (helpers.with_data_in_place(labels) if service.from_compose else "") or helpers.with_data_elsewhere()
    query = {"container": made, "pause": "0"}
    image = connection.daemon.request("POST", "/commit", query, patience=COPYING, body={"Labels": labels})["Id"]
    api.tag(image, REPOSITORY, key)
    size = api.inspect_image(image)["Size"] - api.inspect_image(service.image)["Size"]
    return Saved(f"{REPOSITORY}:{key}", image, size)


class _Helpers(NamedTuple):
    """Containers that never run, into which the data of *container* is copied. They are removed with the instance *id*."""

    connection: Connection
    container: str
    service: ServicePlan
    id: str
    in_flight: InFlight

    def with_data_in_place(self, labels: Mapping[str, str]) -> str:
        """Return a container with the data where the server has it; empty if the daemon, the image or the data does not allow that."""
        folder = only_volume(self.connection.daemon, self.service.image)
        base = without_volumes(self.connection, self.service.image, labels)
        if not base:
            return ""
        made, data = self._created(base), Watched(self._data(folder), NOT_BELOW)
        try:
            self.connection.api.put_archive(made, str(PurePosixPath(folder).parent), data)
        except sdk_errors.APIError:
            data.seen = True
        if data.seen:
            remove_container(self.connection.daemon, made)
        return "" if data.seen else made

    def with_data_elsewhere(self) -> str:
        """Return a container with the data in a folder that no volume covers."""
        service, kept = self.service, self.service.snapshot
        assert kept is not None
        source, target = service.data, kept.folder
        if service.from_compose:
            source = only_volume(self.connection.daemon, service.image)
            target = kept_folder(service, source)
        assert source is not None
        made, parent = self._created(service.image), str(PurePosixPath(target).parent)
        self.connection.api.put_archive(made, "/", _folder(parent, service.user or 0))
        self.connection.api.put_archive(made, parent, self._data(source))
        return made

    def _created(self, image: str) -> str:
        with self.in_flight.creating():
            return str(cast(Any, self.connection.api).create_container(image, labels={INSTANCE: self.id})["Id"])

    def _data(self, folder: str) -> Any:
        return cast(Any, self.connection.api).get_archive(self.container, folder)[0]


NOT_BELOW = b".MYI"
"""The names of MyISAM's indexes. MySQL 5.7 cannot open them in a layer of an image: it opens them for reading first, and then for writing,
which is another file on overlayfs (docker-library/percona#70)."""


class Watched:
    """A stream of bytes that notices a word in it."""

    def __init__(self, stream: Iterable[bytes], word: bytes) -> None:
        self._stream, self._word, self.seen = stream, word, False

    def __iter__(self) -> Iterator[bytes]:
        last = b""
        for piece in self._stream:
            self.seen = self.seen or self._word in last + piece
            last = piece[-len(self._word) :]
            yield piece


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
