"""Docker Compose as a program, and a check whether anything has changed: Compose itself takes half a second to find that out."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from envctl.engines.docker.api import ApiError, Asked
from envctl.engines.docker.instance import adrift, containers_of
from envctl.errors import EngineMissing
from envctl.instance.folder import write_private
from envctl.instance.labels import INSTANCE
from envctl.plan.model import Plan

NOTE = "compose.made"
QUIET = {"COMPOSE_ANSI": "never", "COMPOSE_IGNORE_ORPHANS": "1", "COMPOSE_MENU": "0"}
Container = Mapping[str, Any]
_PLUGINS = (
    "~/.docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/opt/homebrew/lib/docker/cli-plugins",
    "/Applications/Docker.app/Contents/Resources/cli-plugins",
)


def compose_program(environ: Mapping[str, str]) -> list[str]:
    """Return the first words of every Compose command line: the plugin itself if it is found, so that signals reach it directly.

    Raises:
        EngineMissing: Compose v2 is not installed.
    """
    config = environ.get("DOCKER_CONFIG")
    for folder in ([f"{config}/cli-plugins"] if config else []) + list(_PLUGINS):
        plugin = Path(os.path.expanduser(folder)) / "docker-compose"
        if os.access(plugin, os.X_OK):
            return [str(plugin)]
    if shutil.which("docker", path=environ.get("PATH")):
        return ["docker", "compose"]
    raise EngineMissing("Docker Compose v2 is not installed", hint="install the docker-compose-plugin package, or use --engine local")


class ComposeFailed(Exception):
    """An error: Compose ended with an exit code other than 0; the text is its output."""

    def __init__(self, output: str, status: int = 1) -> None:
        super().__init__(output)
        self.status = status


def run_compose(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path | None = None,
    told: Callable[[str], None] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
) -> str:
    """Run Compose, and return its output.

    If this process is interrupted, Compose is ended too, but the daemon still creates what Compose has already requested.

    Args:
        told: called with each line of output as it arrives.

    Raises:
        ComposeFailed: the exit code is not 0.
        EngineMissing: Compose v2 is not installed.
    """
    process = subprocess.Popen(
        [*compose_program(environment), *arguments],
        env={**environment, "COMPOSE_PROGRESS": "plain", **QUIET},
        cwd=cwd,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # envctl handles Ctrl-C: Compose must not end in the middle of a create
        preexec_fn=_end_with_us if sys.platform == "linux" else None,
    )
    try:
        output = _read(process, told) if told else process.communicate()[0]
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        raise ComposeFailed(output.strip(), process.returncode)
    return output


def _read(process: subprocess.Popen[str], told: Callable[[str], None]) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        told(line.rstrip())
    process.wait()
    return "".join(lines)


def _end(process: subprocess.Popen[str]) -> None:
    for number, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=seconds)
            return


def _end_with_us() -> None:
    """Kill Compose when envctl is killed (prctl's PR_SET_PDEATHSIG), so that it does not continue to create containers."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def dependants(services: Mapping[str, Mapping[str, Any]], images: Collection[str]) -> frozenset[str]:
    """Return the *services* of a Compose document with one of *images*, and those that Compose would not create without them."""
    found = {name for name, entry in services.items() if entry.get("image") in images}
    while more := {name for name, entry in services.items() if name not in found and found & _named(entry)}:
        found |= more
    return frozenset(found)


def _named(entry: Mapping[str, Any]) -> set[str]:
    """Return the services to which an entry of a Compose document refers."""
    lists = [*(entry.get("depends_on") or ()), *(entry.get("links") or ()), *(entry.get("volumes_from") or ())]
    shared = [str(entry.get(key) or "").removeprefix("service:") for key in ("network_mode", "ipc", "pid")]
    return {str(each).partition(":")[0] for each in (*lists, *shared)}


def remember(folder: Path, text: str) -> None:
    """Note that exactly what is in *text* has been created."""
    write_private(folder / NOTE, _hash(text))


def forget(folder: Path) -> None:
    """Remove the note of `remember`, because something else is about to be created."""
    (folder / NOTE).unlink(missing_ok=True)


def unchanged(daemon: Asked, plan: Plan, folder: Path, text: str) -> bool:
    """Return whether all of *text* exists as it was created; False if this is hard to find out."""
    note = folder / NOTE
    if not note.exists() or note.read_text() != _hash(text) or any(service.compose for service in plan.services.values()):
        return False
    id = plan.setting.id
    containers, networks = containers_of(daemon, id), daemon.get("/networks")
    try:
        ours = any((network["Labels"] or {}).get(INSTANCE) == id for network in networks)
        return ours and not stranded(containers, networks) and _all_there(containers, plan) and _of_images(daemon, containers, plan)
    except ApiError:
        return False  # an image was removed


def stranded(containers: Sequence[Container], networks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the ids of containers whose network was removed: Compose would not connect them again."""
    there = {network["Id"] for network in networks}
    return [container["Id"] for container in containers if adrift(container, there)]


def _service_of(container: Container) -> str:
    return str(container["Labels"].get("com.docker.compose.service"))


def _all_there(containers: Sequence[Container], plan: Plan) -> bool:
    wanted = [service.name for service in plan.services.values() for _ in range(service.replicas)]
    return sorted(map(_service_of, containers)) == sorted(wanted)


def _of_images(daemon: Asked, containers: Sequence[Container], plan: Plan) -> bool:
    """Return whether all containers run the image that their tag names now: a tag can be moved to another image."""
    ids = {image: daemon.get(f"/images/{image}/json")["Id"] for image in {service.image for service in plan.services.values()}}
    return all(container["ImageID"] == ids[plan.services[_service_of(container)].image] for container in containers)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
