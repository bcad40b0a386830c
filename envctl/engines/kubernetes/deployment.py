"""An instance on Kubernetes with its plan: its objects are applied service by service, and its pods are watched."""

from __future__ import annotations

import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from envctl.engines import listening
from envctl.engines.kubernetes import forwards
from envctl.engines.kubernetes.api import ANSWER, RIGHTS, ApiError, Ignoring
from envctl.engines.kubernetes.binding import ROLE, Binding
from envctl.engines.kubernetes.exec_agent import execute, has_agent
from envctl.engines.kubernetes.image_facts import image_facts
from envctl.engines.kubernetes.images import bring_images, check_way
from envctl.engines.kubernetes.instance import KubernetesInstance, not_there, own_namespace
from envctl.engines.kubernetes.kept import KeptByDocker, restored
from envctl.engines.kubernetes.objects import InstanceObjects
from envctl.engines.kubernetes.own_namespace import OwnNamespace, has_user_range
from envctl.engines.kubernetes.pods import JOB, replicas, service_of
from envctl.engines.kubernetes.records import heard_of_owner, publish
from envctl.engines.kubernetes.restarting import restart_in_place
from envctl.engines.kubernetes.seeded_gate import note_begun, open_gate
from envctl.engines.kubernetes.watching import Pods
from envctl.engines.kubernetes.work_lock import begun as begun_work
from envctl.engines.kubernetes.work_lock import done as done_work
from envctl.engines.logs import text
from envctl.engines.protocol import (
    OWNER_LASTS,
    CommandResult,
    DeploymentSettings,
    Execution,
    Progress,
    Saved,
    ServiceState,
    TerminalCommand,
)
from envctl.errors import EnvctlError, Evidence, ServiceFailed
from envctl.instance.record import Location, SnapshotRecord, now
from envctl.keeper.cluster.pod_status import (
    NO_DATA,
    data_ids,
    exit_status,
    is_admitted,
    is_seeded,
    maker,
    newest,
    own_status,
    uid,
)
from envctl.keeper.cluster.protocol import Object
from envctl.plan.model import Plan, ServicePlan
from envctl.process.attached import Attached
from envctl.process.threads import begun, each
from envctl.render.kubernetes import Manifests, Options, once_job, render_kubernetes
from envctl.render.kubernetes.rendering import ImageFacts
from envctl.render.kubernetes_settings import Cluster

NOT_STARTED = ("StartError", "ContainerCannotRun")
"""The reasons with which Kubernetes reports the end of a container that could not be started."""
ADMITTED = 10.0
"""The seconds to wait until the kubelet has noticed that a pod has its data."""


@dataclass
class KubernetesDeployment(KubernetesInstance):
    """An instance with its plan. `envctl.engines.protocol` documents the methods: those of `Deployment` and of optional protocols."""

    plan: Plan = field(kw_only=True)
    settings: DeploymentSettings = field(kw_only=True)
    _watched: Pods | None = None
    _jobs: set[str] = field(default_factory=set)
    _ranged: bool = False
    """Whether the cluster chooses the user ids of the pods."""
    _fresh: bool = False
    """Whether `create` has created the namespace."""
    _images: Mapping[str, ImageFacts] = field(default_factory=dict)
    _brought: Future[None] | None = None
    """The task that brings images to the cluster in the background; None if `prepare_meanwhile` has not started it."""
    _looked: bool = False
    """Whether the facts about images have been read again since all images are at the cluster."""
    _looking: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._planned = self.plan
        self.restore(self.settings.snapshots)

    @property
    def _options(self) -> Options:
        registry, cluster = self.plan.setting.registry, Cluster.of(self.settings.cluster)
        return Options(
            standalone=False, namespace=self.namespace, registry=registry, cluster=cluster, expires=self.settings.expires,
            ranged=self._ranged, images=self._images,
        )  # fmt: skip

    @cached_property
    def manifests(self) -> Manifests:
        return render_kubernetes(self.plan, self._options)

    @cached_property
    def _objects(self) -> InstanceObjects:
        binding = None if self.shared else Binding(self.api, self.namespace, Cluster.of(self.settings.cluster).role or ROLE)
        return InstanceObjects(self.api, self.namespace, self.id, self.settings.in_flight, binding)

    @cached_property
    def _own(self) -> OwnNamespace:
        return OwnNamespace(self._objects, self.settings, self.plan.setting.owner)

    @cached_property
    def _kept(self) -> KeptByDocker:
        return KeptByDocker(self.api, self.plan.setting.registry, Cluster.of(self.settings.cluster), self.settings.environ)

    @property
    def unable(self) -> str:
        return self._kept.unable

    def place(self, service: ServicePlan) -> Location:
        return self._kept.place

    def identity(self, service: ServicePlan) -> str:
        self.await_image(service)
        return self._kept.identity(service)

    def holds(self, service: ServicePlan) -> bool:
        return False

    def bring(self, service: ServicePlan, kept: SnapshotRecord, progress: Progress = lambda service, text: None) -> SnapshotRecord:
        return self._kept.bring(service, kept, progress)

    def restore(self, snapshots: Mapping[str, SnapshotRecord]) -> None:
        """Plan the pods of these services so that their data folders are filled from the images of the snapshots."""
        services = {name: restored(service, snapshots.get(name)) for name, service in self._planned.services.items()}
        self.plan = replace(self._planned, services=services)
        self.__dict__.pop("manifests", None)

    def save(self, service: ServicePlan, key: str) -> Saved:
        raise EnvctlError("a cluster makes no snapshots: its pods start from those that Docker makes")

    def prepare(self, progress: Progress) -> None:
        self._bring(progress)
        self._look_at_images()

    def prepare_meanwhile(self, progress: Progress) -> None:
        if check_way(self.api.context, self.plan):
            self._brought = begun(lambda: self._bring(progress), "images")
        self._look_at_images()

    def _bring(self, progress: Progress) -> None:
        bring_images(self.api.context, self.plan, self.settings.environ, progress)

    def _look_at_images(self) -> None:
        self._images = image_facts(self.api.context, self.plan, self.settings.environ)
        self.__dict__.pop("manifests", None)

    def await_image(self, service: ServicePlan) -> None:
        """Wait until all images are at the cluster; then render the manifests again, because the images determine the user ids of pods."""
        if self._brought is None or service.build is None:
            return
        self._brought.result()
        with self._looking:
            if not self._looked:
                self._look_at_images()
            self._looked = True

    def create(self, *, whole: bool = True) -> None:
        """Create all objects except workloads.

        The record is written first, so that another machine can use or remove the instance from then on.

        Raises:
            UsageError: the namespace, or an object in a shared namespace with the name of an added one, belongs to another program or user.
            MadeElsewhere: another machine has created the instance.
            EnvctlError: the cluster refuses an object, or a pull secret cannot be copied.
        """
        common, again = list(self.manifests.common), True
        if not self.shared:
            again = self._own.exists()
            self._fresh = not again
            self._take_in(self._own.make(self._own.with_owner(common.pop(0)) if whole else common.pop(0), again))
            common = list(self.manifests.common[1:])
        if whole:
            told = begun_work(self.settings.worker) if self.settings.new else {}
            self._publish(self.settings.document, forwards.forwards_of(self.plan), told, self.settings.new)
            if self.shared and self.plan.setting.owner:
                heard_of_owner(self.api, self.namespace, self.id, now(OWNER_LASTS))
        self._objects.note_added(self.manifests)
        objects = [item for parts in self.manifests.services.values() for item in parts.objects]
        each(self._objects.apply, [*common, *objects], width=8)
        if whole and again:
            self._objects.remove_strays(self.manifests)
        self._set_forwards(forwards.with_approvals(self.host, self.id, forwards.forwards_of(self.plan)), whole)

    def _take_in(self, namespace: Object) -> None:
        """Adapt the manifests to the instance's own namespace, and copy pull secrets into it."""
        if has_user_range(namespace):
            self._ranged = True
            self.__dict__.pop("manifests", None)
        self._own.copy_pull_secrets(self.manifests.common[0]["metadata"]["labels"])

    def _set_forwards(self, wanted: Sequence[Object], whole: bool) -> None:
        forwards.set_forwards(self.host, self.id, self.api.context, self.namespace, wanted, whole)

    def publish(self, document: Mapping[str, Any]) -> None:
        """Publish the record with all forwards of the keeper, because the plan may contain only some of the services."""
        ours = [entry for entry in forwards.kept(self.host, self.id) if forwards.PROBE not in entry["name"]]
        self._publish(document, forwards.for_others(ours), done_work(self.settings.worker) if self.settings.new else {})

    def _publish(self, document: Mapping[str, Any], access: Sequence[Object], told: Mapping[str, str], new: bool = False) -> None:
        if document:
            with self.settings.in_flight.creating():
                self._objects.record = self._objects.with_rights(lambda: publish(self.api, self.namespace, document, access, told, new))

    def renew(self, expires: str | None, labels: Mapping[str, str]) -> None:
        """Do nothing, since `create` always writes the expiry to the namespace and the record."""

    def pods(self, service: str = "") -> list[Object]:
        """Return the pods; empty if the namespace does not exist, which the API server may report as a lack of rights."""
        try:
            return list(self._objects.with_rights(lambda: KubernetesInstance.pods(self, service)))
        except ApiError as error:
            if error.status != 403 or self.shared or own_namespace(self.api, self.namespace, self.id) is not None:
                raise
            return []

    def start(self, service: ServicePlan) -> None:
        """Apply the workloads of the service, and wait until the pods of changed workloads are gone."""
        before = self._known_pods(service.name)
        for item in self.manifests.services[service.name].workload:
            old = self.api.get(item["apiVersion"], item["kind"], self.namespace, item["metadata"]["name"]) if before else None
            new = self._objects.apply(item)
            if old is not None and old["metadata"].get("generation") != new["metadata"].get("generation"):
                self._await_gone(before, service, max(service.stop, 10.0) + 30)  # otherwise they would be taken for the new pods

    def _known_pods(self, service: str) -> list[Object]:
        watched = self._watched
        return self.pods(service) if watched is None else [pod for pod in list(watched.known.values()) if service_of(pod) == service]

    def stop(self, service: ServicePlan) -> None:
        """Restart the containers of a service with data in their pods; delete the pods of other services, which are replaced at once."""
        pods = self.pods(service.name)
        if service.data is not None and all(self._restarted(pod) for pod in pods):
            return
        for pod in pods:
            self.api.delete("v1", "Pod", self.namespace, pod["metadata"]["name"])
        self._await_gone(pods, service, max(service.stop, 10.0) + 30)

    def _restarted(self, pod: Object) -> bool:
        return restart_in_place(self.api, pod, lambda: self.api.get("v1", "Pod", self.namespace, pod["metadata"]["name"]))

    def discard(self, service: ServicePlan) -> None:
        """Delete the pods, whose data is deleted with them; the cluster replaces them by pods without data."""
        pods = self.pods(service.name)
        for pod in pods:
            self.api.delete("v1", "Pod", self.namespace, pod["metadata"]["name"], grace=0)
        parts = self.manifests.services.get(service.name) if service.once else None
        for item in parts.workload if parts is not None else ():  # a Job that has ended does not replace its pod
            self._objects.delete_job(item)
        self._await_gone(pods, service, 60.0)

    def _await_gone(self, pods: Sequence[Object], service: ServicePlan, patience: float) -> None:
        until, going = time.monotonic() + patience, {uid(pod) for pod in pods}

        def over() -> bool:
            return time.monotonic() > until or not any(uid(pod) in going for pod in self._known_pods(service.name))

        if (watched := self._watched) is not None:
            watched.wait(over)
            return
        while not over():
            time.sleep(0.1)

    @contextmanager
    def exit_events(self, on_exit: Callable[[str, int], None], on_loss: Callable[[BaseException], None]) -> Iterator[None]:
        """Watch the pods. The watch is started again when its connection is lost."""
        watched = Pods(self.api, self.namespace, self.id, on_exit, on_loss, self._owners, fresh=self._fresh)
        with watched.following():
            self._watched = watched
            try:
                yield
            finally:
                self._watched = None

    def _owners(self) -> dict[str, tuple[str, ...]]:
        found = {name: tuple(item["metadata"]["name"] for item in parts.workload) for name, parts in self.manifests.services.items()}
        return found | {f"{JOB}{name}": (name,) for name in self._jobs}

    def state(self, service: str) -> ServiceState:
        """Return the state from the watch, if there is one, or else from a request."""
        watched = self._watched
        return watched.state(service) if watched is not None else super().state(service)

    def exit_reason(self, service: ServicePlan) -> EnvctlError | None:
        """Return why the pod cannot start, with the last lines of its log; None if it has started: then its log says why it ended."""
        found = self._watched.failures.get(service.name) if self._watched is not None else None
        if found is None:
            return None
        lines = tuple(text(self.logs(service.name, 40)).splitlines()) if found.step == "start" else ()
        return ServiceFailed(f"{service.name}: {found.what}", Evidence(service.name, found.step, logs=lines, advice=found.advice))

    def listening(self, service: str) -> Sequence[listening.Address]:
        """Ask the exec agent of the pod or, if there is none, kubectl."""
        if has_agent(self.pod(service)):
            return listening.addresses(self.execute(service, Execution(list(listening.COMMAND))).output)
        return listening.addresses(_output(self.interactive(service, listening.COMMAND, {}, None)))

    def execute(self, service: str, what: Execution) -> CommandResult:
        """Run a command through the exec agent. If it is a readiness check, which the kubelet runs, return the kubelet's last result."""
        checks = self.plan.services[service].checks if service in self.plan.services else ()
        if any(check.probe == "command" and _words(check.options.get("command")) == list(what.argv) for check in checks):
            healthy = self.state(service).health == "healthy"
            return CommandResult(0 if healthy else 1, "" if healthy else self._probed(service))
        if not self._known_pods(service):
            raise not_there(service)
        token = self.plan.setting.secret(service, forwards.EXEC_AGENT)
        return execute(self.api, self.host, self.id, self.namespace, service, token, what)

    def _probed(self, service: str) -> str:
        told = self._watched.warnings.get(service, []) if self._watched is not None else []
        said = [str(event.get("message", "")) for event in told if event.get("reason") == "Unhealthy"]
        return said[-1] if said else "the kubelet's probe has not succeeded yet"

    def run_command(self, service: ServicePlan, argv: Sequence[str], attached: Attached | None = None) -> CommandResult:
        """Run *argv* in a Job with the image, the environment variables and the files of *service*."""
        self.await_image(service)
        job = once_job(self.plan, service, argv, f"once-{secrets.token_hex(3)}", self._options)
        self._jobs.add(job["metadata"]["name"])
        try:
            self._objects.apply(job)
            if self._watched is not None:
                return self._ran(job["metadata"]["name"], self._watched, attached)
            alone = Pods(self.api, self.namespace, self.id, owners=self._owners)
            with alone.following():
                return self._ran(job["metadata"]["name"], alone, attached)
        finally:
            threading.Thread(target=self._objects.delete_job, args=(job,)).start()

    def _ran(self, job: str, watched: Pods, attached: Attached | None) -> CommandResult:
        owner = f"{JOB}{job}"

        def stuck_or(*phases: str) -> bool:
            found = watched.of(owner)
            return owner in watched.failures or owner in watched.gone or (found is not None and found["status"].get("phase") in phases)

        if attached is not None and watched.wait(lambda: stuck_or("Running", "Succeeded", "Failed")):
            self._follow(watched.of(owner), attached)
        if not watched.wait(lambda: stuck_or("Succeeded", "Failed")):
            return CommandResult(126, f"the Job {job} did not end")
        stuck, found = watched.failures.get(owner), watched.of(owner) or watched.gone.get(owner)
        if stuck is not None or found is None:
            return CommandResult(126, f"{stuck.what}\n{stuck.advice}" if stuck else f"the pod of the Job {job} is gone")
        ended = own_status(found).get("state", {}).get("terminated", {})
        if ended.get("reason") in NOT_STARTED:
            return CommandResult(127, str(ended.get("message", "")))
        status = exit_status(found)
        return CommandResult(1 if status is None else status, "" if attached else text(self._printed(found, None, ANSWER)))

    def _follow(self, pod: Object | None, attached: Attached) -> None:
        """Pass the log of the pod to *attached*, and its signals to the pod.

        A log is a single stream. A signal can only be sent by deleting the pod: this sends SIGTERM or, without a grace period, SIGKILL.
        """
        if pod is None:
            return

        def send(number: int) -> None:
            grace = 0 if number == signal.SIGKILL else None
            self.api.delete("v1", "Pod", self.namespace, pod["metadata"]["name"], grace=grace, uid=pod["metadata"]["uid"])

        attached.begins(send)
        with Ignoring(400, 404):
            for piece in self._printed(pod, None, None, follow="true"):
                attached.out(piece)

    def admit(self, service: ServicePlan) -> None:
        """Mark the pods as having their data, and wait until the cluster lets other pods reach them."""
        for pod in replicas(self._known_pods(service.name)):
            if not is_admitted(pod):
                with _noted(service):
                    open_gate(self.api, pod)
        watched = self._watched
        if watched is not None:
            until = time.monotonic() + ADMITTED
            watched.wait(lambda: time.monotonic() > until or all(map(is_admitted, replicas(self._known_pods(service.name)))))

    def made_by(self, service: ServicePlan) -> str | None:
        pod = newest(self._known_pods(service.name))
        return None if pod is not None and is_seeded(pod) else maker(pod or {})

    def note_begun(self, service: ServicePlan) -> None:
        for pod in replicas(self._known_pods(service.name)):
            with _noted(service):
                note_begun(self.api, pod, self.settings.worker)

    def finish(self, whole: Collection[str]) -> None:
        """Make the endpoints of services with data from envctl close when a pod is replaced, and approve the current pods."""
        waiting = {service.name: service for service in self.plan.services.values() if forwards.needs_approval(service)}
        ours = forwards.forwards_of(replace(self.plan, services=waiting))
        if ours:
            self._set_forwards([entry | {"needs_approval": True} for entry in ours], whole=False)
        pods = self.pods() if ours else []
        for entry in ours:
            service = waiting[entry["name"].partition("/")[0]]
            # A service whose pod was replaced in the meantime is not in *whole*: the keeper makes its data again.
            data = _data_id(service, pods) if service.name in whole else NO_DATA
            forwards.approve(self.host, self.id, entry["name"], data)

    def probe_ports(self, service: ServicePlan) -> Mapping[str, int]:
        return forwards.probing(self.host, self.id, self.api.context, self.namespace, service)

    def barred(self, service: ServicePlan) -> EnvctlError | None:
        words = forwards.barred(self.host, self.id, service.name)
        if words:
            return EnvctlError(words, hint=RIGHTS)
        pod = self._watched.of(service.name) if self._watched is not None else None
        return None if self.shared else self._own.removal(service.name, pod)

    def data_id(self, service: ServicePlan) -> str:
        """Return the id of the pod or container with the data; the data lives as long as that. The keeper uses the same ids."""
        return _data_id(service, self._known_pods(service.name))


@contextmanager
def _noted(service: ServicePlan) -> Iterator[None]:
    """Turn a refusal of the context's changes to the pods of *service* into an error that explains it.

    Raises:
        EnvctlError: the cluster refuses a change.
    """
    try:
        yield
    except ApiError as error:
        hint = "an administrator can grant the right to `patch` pods/status with `envctl cluster install`"
        raise EnvctlError(f"{service.name}: it cannot be marked as seeded: {error.message}", hint=hint) from None


def _data_id(service: ServicePlan, pods: Iterable[Object]) -> str:
    pod = newest(pod for pod in pods if service_of(pod) == service.name)
    if pod is None:
        return ""
    of_pod, of_container = data_ids(pod)
    return of_container if service.ephemeral else of_pod


def _words(command: Any) -> list[str]:
    return list(map(str, command)) if isinstance(command, list | tuple) else []


def _output(what: TerminalCommand) -> str:
    """Run a command, and return what it prints.

    Raises:
        EnvctlError: the command fails, or takes longer than ANSWER seconds.
    """
    try:
        done = subprocess.run(what.argv, env=what.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise EnvctlError(f"cannot tell where it listens: {error}") from None
    return done.stdout
