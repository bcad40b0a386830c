"""One instance on Docker: Compose creates it, then each container is started, asked and stopped through the SDK."""

from __future__ import annotations

import io
import os
import re
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound

from envctl.engines import PortTaken, Ran, Say, SubnetTaken
from envctl.engines.docker.composer import ComposeFailed, run_compose
from envctl.engines.docker.images import ensure_images
from envctl.engines.docker.instance import DockerInstance
from envctl.errors import EnvctlError, Evidence, ServiceFailed
from envctl.plan.model import File, Plan, ServicePlan
from envctl.render.compose import compose_text, labels, render_compose

TAKEN = ("port is already allocated", "address already in use")
MARKER = "expires"


@dataclass
class DockerProject(DockerInstance):
    """The instance with its plan; *folder* is where the rendered file stays."""

    plan: Plan = field(kw_only=True)
    folder: Path = field(kw_only=True)

    def prepare(self, say: Say) -> None:
        ensure_images(self.connection, self.plan, self.folder, say)

    def create(self) -> None:
        """Creates what is not there and recreates what has changed; nothing is started.

        Raises:
            SubnetTaken, PortTaken: another choice may work.
            EnvctlError: Compose's own words.
        """
        rendered = render_compose(self.plan, standalone=False)
        file = self.folder / "compose.json"
        file.write_text(compose_text(rendered), "utf-8")
        command = ["-p", self.id, "--project-directory", str(self.plan.folder), "-f", str(file)]
        try:
            run_compose([*command, "create", "--no-build", "--pull", "never", "--remove-orphans"], self.connection.environment)
        except ComposeFailed as error:
            raise _cannot_create(str(error)) from None
        self._ids = self.containers()

    def start(self, service: ServicePlan) -> None:
        for container in self.ids(service.name):
            try:
                if service.files and self._never_started(container):
                    self.connection.api.put_archive(container, "/", archive(service.files))
                self.connection.api.start(container)
            except APIError as error:
                raise self._cannot_start(service, str(error.explanation or error)) from None

    def _never_started(self, container: str) -> bool:
        return bool(self.connection.api.inspect_container(container)["State"]["Status"] == "created")

    def _cannot_start(self, service: ServicePlan, why: str) -> EnvctlError:
        if any(word in why for word in TAKEN):
            return PortTaken(service.name, why)
        return ServiceFailed(f"{service.name} cannot start: {why}", Evidence(service.name, "start", advice=_advice(why)))

    def stop(self, service: ServicePlan) -> None:
        for container in self.ids(service.name):
            self.connection.api.stop(container, timeout=round(max(service.stop, 10)))

    def discard(self, service: ServicePlan) -> None:
        """The container and its data are gone; `create` makes new ones."""
        api = self.connection.api
        for container in self._ids.pop(service.name, None) or self.containers().get(service.name, []):
            with suppress(NotFound):
                api.remove_container(container, force=True, v=True)
        if service.data is not None:
            with suppress(NotFound):
                api.remove_volume(f"{self.id}_{service.name}-data", force=True)
        self._ids.pop(service.name, None)

    @contextmanager
    def deaths(self, died: Callable[[str, int], None]) -> Iterator[None]:
        """Calls *died* with service and exit status as soon as a container ends."""
        wanted = {"label": [f"envctl.instance={self.id}", "com.docker.compose.oneoff=False"], "event": ["die"], "type": "container"}
        events = self.connection.api.events(filters=wanted, decode=True)
        thread = threading.Thread(target=_tell, args=(events, died), name="deaths", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with suppress(Exception):
                events.close()

    def run_once(self, service: ServicePlan, argv: Sequence[str]) -> Ran:
        """*argv* in a container of its own with the image, the environment, the files and the network of *service*."""
        api = self.connection.api
        marks = {
            **labels(self.plan),
            "envctl.service": service.name,
            "com.docker.compose.project": self.id,
            "com.docker.compose.oneoff": "True",
        }
        config = api.create_host_config(network_mode=self._network(), init=True, extra_hosts=_hosts(service))
        made = api.create_container(
            service.image, list(argv[1:]), entrypoint=[argv[0]], environment=dict(service.env), labels=marks, host_config=config,
            user=None if service.user is None else f"{service.user}:{service.user}", working_dir=service.compose.get("working_dir"),
        )  # fmt: skip
        try:
            if service.files:
                api.put_archive(made["Id"], "/", archive(service.files))
            api.start(made["Id"])
            status = api.wait(made["Id"], timeout=None)["StatusCode"]
            return Ran(int(status), api.logs(made["Id"]).decode(errors="replace"))
        except APIError as error:
            return Ran(126, str(error.explanation or error))
        finally:
            threading.Thread(target=self._discarded, args=(made["Id"],)).start()  # 0.2 s that nobody need wait for

    def _discarded(self, container: str) -> None:
        with suppress(APIError):
            self.connection.api.remove_container(container, force=True, v=True)

    def _network(self) -> str:
        for network in self.connection.api.networks(filters={"label": [f"envctl.instance={self.id}"]}):
            return str(network["Name"])
        return "bridge"

    def incarnation(self, service: ServicePlan) -> str:
        """What tells this data from another's: a volume's birth, or the container where there is no volume."""
        if service.data is None:
            return next(iter(self.containers().get(service.name, [])), "")
        with suppress(NotFound):
            return str(self.connection.api.inspect_volume(f"{self.id}_{service.name}-data")["CreatedAt"])
        return ""

    def renew(self, expires: str | None) -> None:
        """The marker of the new time is made before the old one goes; the latest counts."""
        api = self.connection.api
        old = [v["Name"] for v in api.volumes(filters={"label": [f"envctl.instance={self.id}", "envctl.expires"]})["Volumes"] or []]
        name = f"{self.id}-{MARKER}-{re.sub(r'[^0-9TZ]', '', expires)}" if expires else ""
        if expires and name not in old:
            api.create_volume(name, labels={**labels(self.plan), "envctl.expires": expires})
        for volume in old:
            if volume != name:
                with suppress(NotFound):
                    api.remove_volume(volume)


def _tell(events: Iterable[dict[str, Any]], died: Callable[[str, int], None]) -> None:
    with suppress(Exception):  # the stream is closed under our feet when nobody listens any more
        for event in events:
            attributes = event["Actor"]["Attributes"]
            died(attributes.get("com.docker.compose.service", ""), int(attributes.get("exitCode", 0)))


def archive(files: Mapping[str, File]) -> bytes:
    """A tar of *files*: readable by every user, executable where they are here."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, file in files.items():
            content = file.text.encode() if file.text is not None else file.source.read_bytes()  # type: ignore[union-attr]
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o755 if file.source is not None and os.access(file.source, os.X_OK) else 0o644
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _hosts(service: ServicePlan) -> dict[str, str] | None:
    return {"host.docker.internal": "host-gateway"} if service.tester else None


def _cannot_create(output: str) -> EnvctlError:
    if "Pool overlaps" in output:
        return SubnetTaken(output)
    lines = [line for line in output.splitlines() if line.strip() and not re.match(r"^ ?(Network|Container|Volume) ", line)]
    why = " ".join(lines[-3:]) or output
    return ServiceFailed(f"Docker cannot create the environment: {why}", hint=_advice(output))


def _advice(why: str) -> str:
    if "no space left on device" in why:
        return "the daemon's disk is full: `docker system df` shows what takes the room"
    if "address pool" in why:
        return "Docker has no addresses left for a network: `envctl gc`, or `docker network prune`"
    if "executable file not found" in why or "no such file or directory" in why:
        return "check `run:` and `command:`: the image has no such program"
    return "`docker events` and the daemon's log say more"
