"""One instance on Docker: Compose creates it; then the daemon's API starts, inspects and stops each container."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from envctl.engines import listening
from envctl.engines.docker import data_volumes, snapshot_copies, snapshots
from envctl.engines.docker.api import ApiError
from envctl.engines.docker.commands import OneOffs, archive, execute, kill
from envctl.engines.docker.compose import (
    QUIET,
    ComposeFailed,
    compose_program,
    dependants,
    forget,
    remember,
    run_compose,
    stranded,
    unchanged,
)
from envctl.engines.docker.connection import import_sdk, sdk_errors
from envctl.engines.docker.containers_and_volumes import remove_container, remove_helper, remove_volume
from envctl.engines.docker.images import build, ensure_images, pull_images
from envctl.engines.docker.inside_container import own_container
from envctl.engines.docker.instance import ONE_OFF, DockerInstance, containers_of
from envctl.engines.docker.nested_paths import as_on_its_machine, mounts_of
from envctl.engines.docker.refusals import advice
from envctl.engines.docker.snapshot_to_volume import config_hashes, has_moved, made_anew, make_volumes, move, volume_of
from envctl.engines.protocol import CommandResult, DeploymentSettings, Execution, PortTaken, Progress, Saved, SubnetTaken
from envctl.errors import EngineMissing, EnvctlError, Evidence, ServiceFailed, UsageError
from envctl.instance.folder import write_private
from envctl.instance.labels import DATA, INSTANCE
from envctl.instance.record import Location, SnapshotRecord
from envctl.plan.model import Plan, ServicePlan
from envctl.process.attached import Attached, run_attached
from envctl.process.threads import begun, guarded_thread
from envctl.render.compose import Rendered, compose_text, escaped, joined_networks, labels, render_compose

TAKEN = ("port is already allocated", "address already in use")


@dataclass
class DockerDeployment(DockerInstance):
    """An instance with its plan; the rendered Compose file stays in the instance's state folder."""

    plan: Plan = field(kw_only=True)
    settings: DeploymentSettings = field(kw_only=True)
    _once: OneOffs = field(init=False)
    _built: Future[None] | None = None
    _building: frozenset[str] = frozenset()
    """The images that are being built in the background."""
    _unbuilt: frozenset[str] = frozenset()
    """The services that are created later, because they need one of these images."""
    _made: Future[None] | None = None
    _before: Mapping[str, tuple[str, list[str]]] = field(default_factory=dict)
    """Service to the id of its data and the volumes with it, as they were before containers were recreated."""

    def __post_init__(self) -> None:
        self.folder, self.in_flight = self.settings.folder, self.settings.in_flight
        self._once = OneOffs(self.connection, self.plan, self.in_flight)
        self._planned = self.plan
        self.restore(self.settings.snapshots)

    def place(self, service: ServicePlan) -> Location:
        return Location("docker", self.connection.context or self.connection.endpoint.host)

    def identity(self, service: ServicePlan) -> str:
        self.await_image(service)
        return snapshots.image_id(self.connection.daemon, service.image)

    def holds(self, service: ServicePlan) -> bool:
        self.await_image(service)
        return snapshot_copies.holds(self.connection.daemon, service)

    @property
    def unable(self) -> str:
        return ""

    def bring(self, service: ServicePlan, kept: SnapshotRecord, progress: Progress = lambda service, text: None) -> SnapshotRecord:
        if not service.from_compose:
            return self._placed(service, kept)
        return snapshot_copies.begin(self.connection.daemon, service, kept, self.id, labels(self.plan), self.in_flight)

    def restore(self, snapshots: Mapping[str, SnapshotRecord]) -> None:
        """Use the image with the data for the container of each service in *snapshots*, or mount a volume with a copy of the data."""
        containers = containers_of(self.connection.daemon, self.id) if snapshots else []
        self._snapshots = {name: self._with_volume(name, kept, containers) for name, kept in snapshots.items()}
        services = {name: self._restored(service, containers) for name, service in self._planned.services.items()}
        copies = {name: kept.folder for name, kept in self._snapshots.items() if kept.folder}
        self.plan = snapshot_copies.mounted(replace(self._planned, services=services), copies)

    def _with_volume(self, name: str, kept: SnapshotRecord, containers: Sequence[Any]) -> SnapshotRecord:
        """Return *kept* with the place of its data; the data of a server of a Compose file that has moved to a volume counts as a copy."""
        service = self._planned.services.get(name)
        if service is None or kept.folder:
            return kept
        if not service.from_compose:
            return self._placed(service, kept)
        moved = has_moved(self.connection.daemon, kept.volume, name, kept.content, containers)
        return replace(kept, folder=kept.place) if moved else kept

    def _placed(self, service: ServicePlan, kept: SnapshotRecord) -> SnapshotRecord:
        """Return *kept* with the folder of the data of a kind's server, and its volume; records of earlier versions lack both."""
        folder = service.snapshot.folder if service.snapshot is not None else ""
        return replace(kept, place=kept.place or folder, volume=volume_of(self.id, service.name))

    def _restored(self, service: ServicePlan, containers: Sequence[Any]) -> ServicePlan:
        kept = self._snapshots.get(service.name)
        if kept is None or service.snapshot is None or kept.folder:
            return service
        self.await_image(service)
        daemon = self.connection.daemon
        server = snapshots.server_image(daemon, service, kept, containers)
        if service.from_compose:
            return snapshots.run_from(service, kept.ref, server, kept.place)
        return snapshots.restored(service, kept.ref, server, moved=has_moved(daemon, kept.volume, service.name, kept.content, containers))

    def _move(self, file: Path, whole: bool) -> bool:
        """Move data out of containers that Compose would recreate or remove; return whether there were any.

        Compose also recreates a container if the name of its image means another image by now, or none.
        """
        daemon = self.connection.daemon
        found = containers_of(daemon, self.id)
        at_risk = [c for c in found if self._runs_from_snapshot(c) and (whole or _service_of(c) in self._planned.services)]
        if not at_risk:
            return False
        hashes, lost = config_hashes(self._run_compose(file, ["config", "--hash", "*"])), stranded(found, daemon.get("/networks"))
        moving = [c for c in at_risk if made_anew(c, hashes) or c["Id"] in lost or self._has_another_image(c)]
        for container in moving:
            name = _service_of(container)
            service = self._planned.services.get(name)
            if self._snapshots[name].place and not (service is not None and service.ephemeral):
                data_id = self.data_id(service) if service is not None else container["Id"]
                move(self.connection, name, container, self._snapshots[name], data_id)
        return bool(moving)

    def _runs_from_snapshot(self, container: Mapping[str, Any]) -> bool:
        kept = self._snapshots.get(_service_of(container))
        return kept is not None and container["ImageID"] == kept.content

    def _has_another_image(self, container: Mapping[str, Any]) -> bool:
        kept = self._snapshots[_service_of(container)]
        return snapshots.image_id(self.connection.daemon, kept.ref) != kept.content

    def save(self, service: ServicePlan, key: str) -> Saved:
        return snapshots.save(self.connection, self.one_of(service.name), service, key, self.id, self.in_flight)

    def _run_compose(self, file: Path, arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
        return run_compose(self._compose_words(file, arguments), self._compose_environment(variables or {}))

    def _compose_words(self, file: Path, arguments: Sequence[str]) -> list[str]:
        return ["-p", self.id, "--project-directory", str(self.plan.folder), "-f", str(file), *arguments]

    def _compose_environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        return {**self.plan.compose_variables, **self.connection.environment(self.settings.environ), **variables}

    def prepare(self, progress: Progress) -> None:
        ensure_images(self.connection, self._planned, self.settings.environ, progress)

    def prepare_meanwhile(self, progress: Progress) -> None:
        if building := pull_images(self.connection, self._planned, progress):
            self._building = frozenset(service.image for service in building)
            self._built = begun(lambda: build(self.connection, self._planned, building, self.settings.environ, progress), "build")

    def await_image(self, service: ServicePlan) -> None:
        if self._built is not None and service.image in self._building:
            self._built.result()
        if self._made is not None and service.name in self._unbuilt:
            self._made.result()

    def create(self, *, whole: bool = True) -> None:
        """Run Compose if anything has changed; services whose images are still being built follow as soon as these exist."""
        self.restore(self._snapshots)
        rendered = self._rendered()
        text = compose_text(rendered)
        if self._built is not None and whole:
            self._unbuilt = dependants(rendered.document["services"], self._building)
            if self._unbuilt == self.plan.services.keys():
                self._built.result()
                self._unbuilt = frozenset()
        if self._built is not None or not (whole and unchanged(self.connection.daemon, self.plan, self.folder, text)):
            self._before = {each.name: known for each in self.plan.services.values() if (known := self._in_volumes(each))[1]}
            if self._snapshots and self._move(self._written(text), whole):
                self.restore(self._snapshots)
                text = compose_text(self._rendered())
            self._compose(text, whole)
        self._ids = self.containers()

    def _rendered(self) -> Rendered:
        """Render the plan, with the paths of the daemon's machine if envctl itself runs in one of its containers."""
        rendered = render_compose(self.plan, standalone=False)
        ours = own_container(self.connection.daemon)
        if not ours:
            return rendered
        document = as_on_its_machine(rendered.document, mounts_of(ours), self.plan.folder, self.plan.setting.project)
        return replace(rendered, document=document)

    def _written(self, text: str) -> Path:
        file = self.folder / "next.json"
        write_private(file, text)
        return file

    def _compose(self, text: str, whole: bool) -> None:
        forget(self.folder)
        if whole:
            self._remove_stranded()
        built = [name for name in self.plan.services if name not in self._unbuilt] if self._unbuilt else []
        file = self.folder / ("compose.json" if whole else "part.json")
        write_private(file, text)
        options = ["--remove-orphans"] if whole else []
        try:
            with self.in_flight.creating():
                make_volumes(self.connection.daemon, self.id, self.plan.services, labels(self.plan))
                data_volumes.make(self.connection.daemon, self.plan, json.loads(text).get("volumes", {}))
                if any(service.files or service.steps or service.sets_up for service in self.plan.services.values()):
                    begun(import_sdk, "Docker's SDK")  # needed for files and commands once Compose has created the containers
                self._run_compose(file, ["create", "--no-build", "--pull", "never", *options, *built])
        except ComposeFailed as error:
            raise _cannot_create(str(error)) from None
        if self._unbuilt:
            self._made = begun(self._create_unbuilt, "create")
        elif whole:
            remember(self.folder, text)

    def _create_unbuilt(self) -> None:
        """Create the remaining services as soon as their images exist: other programs may remove an image that no container uses."""
        assert self._built is not None
        self._built.result()
        file = self.folder / "compose.json"
        try:
            with self.in_flight.creating():
                self._run_compose(file, ["create", "--no-build", "--pull", "never", *sorted(self._unbuilt)])
        except ComposeFailed as error:
            raise _cannot_create(str(error)) from None
        remember(self.folder, file.read_text())
        self._ids = self.containers()

    def _remove_stranded(self) -> None:
        daemon = self.connection.daemon
        for container in stranded(containers_of(daemon, self.id), daemon.get("/networks")):
            remove_container(daemon, container)

    def start(self, service: ServicePlan) -> None:
        service = self.plan.services[service.name]
        self.await_image(service)
        for container in self.ids(service.name):
            try:
                if service.files and self.connection.daemon.get(f"/containers/{container}/json")["State"]["Status"] == "created":
                    self._put(container, service)
                self.connection.daemon.request("POST", f"/containers/{container}/start")
            except ApiError as error:
                raise self._cannot_start(service, str(error)) from None

    def _put(self, container: str, service: ServicePlan) -> None:
        try:
            with archive(service.files) as packed:
                self.connection.api.put_archive(container, "/", packed)
        except sdk_errors.APIError as error:
            raise self._cannot_start(service, str(error.explanation or error)) from None

    def _cannot_start(self, service: ServicePlan, why: str) -> EnvctlError:
        if any(word in why for word in TAKEN):
            return PortTaken(service.name, why)
        return ServiceFailed(f"{service.name} cannot start: {why}", Evidence(service.name, "start", advice=advice(why)))

    def stop(self, service: ServicePlan) -> None:
        for container in self.ids(service.name):
            with suppress(sdk_errors.NotFound):
                self.connection.api.stop(container, timeout=round(max(service.stop, 10)))

    def discard(self, service: ServicePlan) -> None:
        daemon = self.connection.daemon
        self.staying(service)
        going = [volume.name for volume, shared in self._volumes(service) if shared is None]
        ours = [volume_of(self.id, service.name)] if service.data is not None else []
        try:
            self._remove_incomplete(service)
            for container in self._ids.pop(service.name, None) or self.containers().get(service.name, []):
                remove_container(daemon, container)
            for name in (*ours, *going):
                remove_volume(daemon, name)
        except ApiError as error:
            raise EnvctlError(f"{service.name}: its data cannot be removed: {error}", hint="`docker ps -a` shows what uses it") from None
        if self._has_copy(service):
            snapshot_copies.discard(daemon, self.id, service.name)
        self._ids.pop(service.name, None)

    def _remove_incomplete(self, service: ServicePlan) -> None:
        """Remove the volume of an interrupted move while the container still has the data: without it, the volume would count as whole."""
        daemon, kept = self.connection.daemon, self._snapshots.get(service.name)
        if kept is None or not kept.volume or kept.folder:
            return
        if any(map(self._runs_from_snapshot, (c for c in containers_of(daemon, self.id) if _service_of(c) == service.name))):
            remove_helper(daemon, kept.volume)
            remove_volume(daemon, kept.volume)

    def staying(self, service: ServicePlan) -> Sequence[str]:
        shared = [its for _, its in self._volumes(service) if its is not None]
        if shared and service.places:
            raise UsageError(f"{service.name} keeps its data in {shared[0].what}", hint=shared[0].hint)
        return [f"{its.what}, stays as it is" for its in shared]

    def _volumes(self, service: ServicePlan) -> list[tuple[data_volumes.Named, data_volumes.Shared | None]]:
        """Return the named volumes with the service's data, each with the reason why it would stay (None: it would be removed)."""
        planned = self._planned.services.get(service.name)
        found = data_volumes.named(self._planned, planned) if planned is not None else ()
        return [(volume, data_volumes.shared(self.connection.daemon, volume, service.name)) for volume in found]

    @contextmanager
    def exit_events(self, on_exit: Callable[[str, int], None], on_loss: Callable[[BaseException], None]) -> Iterator[None]:
        wanted = {"label": [f"{INSTANCE}={self.id}", f"{ONE_OFF}=False"], "event": ["die"], "type": ["container"]}
        try:
            events = self.connection.daemon.stream("/events", filters=wanted)
        except (ApiError, OSError) as error:
            raise EnvctlError(f"Docker reports no events: {error}", hint="check that the daemon is running") from None
        closed = threading.Event()

        def listen() -> None:
            for service, status in _ends(events, closed):
                on_exit(service, status)

        def lost(error: BaseException) -> None:
            """Report that the daemon has stopped, if it has: its events end before any request fails."""
            try:
                self.connection.daemon.get("/version")
            except EngineMissing as gone:
                error = gone
            except Exception as refusal:
                error.add_note(str(refusal))
            on_loss(error)

        guarded_thread(listen, lost, name="exit events")
        try:
            yield
        finally:
            closed.set()
            with suppress(Exception):
                events.close()

    def listening(self, service: str) -> Sequence[listening.Address]:
        """Run a program of the image that prints the tables; if the image has none, read this machine's tables if the daemon runs here."""
        printed = self.execute(service, Execution(list(listening.COMMAND)))
        if not printed.status:
            return listening.addresses(printed.output)
        container = self.one_of(service)
        return listening.addresses_beside(int(self.connection.daemon.get(f"/containers/{container}/json")["State"]["Pid"]), container)

    def execute(self, service: str, what: Execution) -> CommandResult:
        return execute(self.connection, self.one_of(service), what)

    def prepare_command(self, service: ServicePlan, argv: Sequence[str]) -> None:
        self.await_image(service)
        if not self._takes_compose(service):
            self._once.expect(service, tuple(argv))

    def run_command(self, service: ServicePlan, argv: Sequence[str], attached: Attached | None = None) -> CommandResult:
        """Run *argv* in a separate container with the image, the environment, the files and the network of *service*."""
        self.await_image(service)
        if self._takes_compose(service):
            return self._composed_once(service, argv, attached)
        return self._once.run(service, tuple(argv), attached)

    def _takes_compose(self, service: ServicePlan) -> bool:
        return bool(service.compose or joined_networks(self.plan))

    def _composed_once(self, service: ServicePlan, argv: Sequence[str], attached: Attached | None) -> CommandResult:
        """Run the command through Compose, which supports every key of the service (mounts, secrets, ...)."""
        file = self.folder / "compose.json"
        given = json.loads(file.read_text())["services"].get(service.name, {}).get("environment", {})
        more = {key: value for key, value in service.env.items() if given.get(key) != escaped(value)}
        flags = [word for key in more for word in ("-e", key)]  # only names: `ps` shows the command line to every user
        name = f"{self.id}-{service.name}-{secrets.token_hex(4)}"
        kept = ["--name", name] if attached is not None else ["--rm"]
        command = ["run", *kept, "--no-deps", "-T", *flags, "--entrypoint", argv[0], service.name, *argv[1:]]
        try:
            if attached is not None:
                return self._composed_attached(name, self._compose_words(file, command), self._compose_environment(more), attached)
            return CommandResult(0, self._run_compose(file, command, more))
        except ComposeFailed as error:
            return CommandResult(error.status, str(error))

    def _composed_attached(self, name: str, words: Sequence[str], environ: Mapping[str, str], attached: Attached) -> CommandResult:
        """Run the command through Compose, but send signals to the container itself: SIGKILL would end only Compose.

        If the command cannot be started, Compose prints the reason.
        """
        api = self.connection.api
        try:
            status = run_attached(
                [*compose_program(environ), *words], {**environ, "COMPOSE_PROGRESS": "quiet", **QUIET}, attached,
                send=lambda number: kill(self.connection, name, number),
            )  # fmt: skip
            state = api.inspect_container(name)["State"] if status else {}
            return (
                CommandResult(127, state.get("Error") or "it cannot be started")
                if state.get("Status") == "created"
                else CommandResult(status, "")
            )
        finally:
            with suppress(ApiError):
                remove_container(self.connection.daemon, name)

    def data_id(self, service: ServicePlan) -> str:
        """Return an id of the service's data: that of its volume, or that of its container if it has no volume."""
        service = self.plan.services.get(service.name, service)
        daemon, copy = self.connection.daemon, self._has_copy(service)
        if (service.ephemeral or service.data is None) and not copy:
            return self._data_id_without_ours(service)
        its = daemon.find(f"/volumes/{snapshot_copies.volume_of(self.id, service.name) if copy else volume_of(self.id, service.name)}")
        return str((its["Labels"] or {}).get(DATA) or its["CreatedAt"]) if its else ""

    def _data_id_without_ours(self, service: ServicePlan) -> str:
        """Return an id of data for which envctl has made no volume: it is in a volume of the Compose file or image, or in the container."""
        daemon, container = self.connection.daemon, self._container(service)
        if service.ephemeral:
            seen = (daemon.find(f"/containers/{container}/json") if container else None) or {}
            return f"{container} {seen['State']['StartedAt'] if seen else ''}".rstrip()
        return data_volumes.known_as(daemon, self._holding(service, container), container) or container

    def _holding(self, service: ServicePlan, container: str) -> list[str]:
        """Return the volumes that identify the service's data; none if its container runs from a snapshot's image."""
        if service.name in self._snapshots or not data_volumes.may_have(service):
            return []
        if not container:
            return data_volumes.planned(self._planned, service)
        return data_volumes.in_container(service, self.connection.daemon.find(f"/containers/{container}/json") or {})

    def _container(self, service: ServicePlan) -> str:
        return next(iter(self.containers().get(service.name, [])), "")

    def _in_volumes(self, service: ServicePlan) -> tuple[str, list[str]]:
        """Return an id of the service's data, and its container's volumes with it; these exist as long as the container exists."""
        container = self._container(service) if service.from_compose and data_volumes.may_have(service) else ""
        names = self._holding(service, container) if container else []
        return (self.data_id(service), names) if names else ("", [])

    def former_data_id(self, service: ServicePlan) -> str:
        """Return the id of the data from before its container was recreated; else the container's id, which earlier versions used."""
        known, names = self._before.get(service.name, ("", []))
        container = self._container(service)
        return known if names and names == self._holding(service, container) else container

    def _has_copy(self, service: ServicePlan) -> bool:
        return service.name in self._snapshots and bool(self._snapshots[service.name].folder)

    def probe_ports(self, service: ServicePlan) -> Mapping[str, int]:
        return service.outside_ports

    def finish(self, whole: Collection[str]) -> None:
        """Do nothing: everything is done on Docker."""

    def exit_reason(self, service: ServicePlan) -> EnvctlError | None:
        """Return None: the log of the container says more."""
        return None


def _service_of(container: Mapping[str, Any]) -> str:
    return str(container["Labels"]["com.docker.compose.service"])


def _ends(events: Iterable[Any], closed: threading.Event) -> Iterator[tuple[str, int]]:
    """Yield service and exit code of each container that ends, until *closed* is set.

    Raises:
        EnvctlError: the daemon no longer reports events.
    """
    why = "it closed the connection"
    try:
        for event in events:
            attributes = event["Actor"]["Attributes"]
            yield attributes.get("com.docker.compose.service", ""), int(attributes.get("exitCode", 0))
    except Exception as error:  # including errors because the stream was closed
        why = str(error) or type(error).__name__
    if not closed.is_set():
        raise EnvctlError(f"Docker no longer reports events: {why}", hint="check that the daemon is running")


def _cannot_create(output: str) -> EnvctlError:
    if "Pool overlaps" in output:
        return SubnetTaken(output)
    lines = [line for line in output.splitlines() if line.strip() and not re.match(r"^ ?(Network|Container|Volume) ", line)]
    why = " ".join(lines[-3:]) or output
    return ServiceFailed(f"Docker cannot create the environment: {why}", hint=advice(output))
