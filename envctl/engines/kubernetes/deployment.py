"""One instance on Kubernetes with its plan: applied service by service, its pods watched, its ports forwarded by the keeper."""

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
from itertools import chain
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
from envctl.engines.kubernetes.pods import JOB, refusal, replicas, service_of
from envctl.engines.kubernetes.records import added_kinds, heard_of_owner, maker_of, note_added, owners, publish, refuse_others
from envctl.engines.kubernetes.removal import gone
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
from envctl.errors import EnvctlError, Evidence, ServiceFailed, UsageError
from envctl.instance.labels import ALIVE, INSTANCE, MADE, RECORD, SERVICE
from envctl.instance.record import Location, SnapshotRecord, now
from envctl.keeper.cluster.pod_status import (
    NO_DATA,
    alive,
    data_ids,
    exit_status,
    is_admitted,
    is_seeded,
    maker,
    newest,
    own_status,
    uid,
)
from envctl.keeper.cluster.presence import record_name
from envctl.keeper.cluster.protocol import Object
from envctl.plan.model import Plan, ServicePlan
from envctl.process.attached import Attached
from envctl.process.threads import begun, each
from envctl.render.kubernetes import Manifests, Options, once_job, render_kubernetes
from envctl.render.kubernetes.rendering import ImageFacts
from envctl.render.kubernetes_settings import Cluster

STRAYS = (
    ("apps/v1", "Deployment"), ("batch/v1", "Job"), ("v1", "Service"), ("networking.k8s.io/v1", "NetworkPolicy"), ("v1", "ConfigMap"),
    ("v1", "Secret"), ("networking.k8s.io/v1", "Ingress"), ("gateway.networking.k8s.io/v1", "HTTPRoute"),
)  # fmt: skip
NOT_STARTED = ("StartError", "ContainerCannotRun")
"""Why a container has ended that has never begun."""
USER_RANGE = "openshift.io/sa.scc.uid-range"
"""The annotation of a namespace from whose range each pod gets a user."""
COPIED = ("app.kubernetes.io/managed-by", "app.kubernetes.io/part-of")
"""Labels of a copied pull secret: with the instance's it would be taken for something that a plan does not want any more."""
ADMITTED = 10.0
"""Seconds after which nobody waits for a kubelet that has not seen yet what it was told."""
ACCOUNT = 30.0
"""Seconds that a new namespace may take to let pods be made."""
PODLESS = 3.0
"""Seconds without a pod after which the namespace may be on its way out."""
NO_ACCOUNT = "error looking up service account"
"""How it is refused until then. (The name of a service account that lacks rights stands in refusals, too, and those stay.)"""


@dataclass
class KubernetesDeployment(KubernetesInstance):
    """The instance with its plan."""

    plan: Plan = field(kw_only=True)
    settings: DeploymentSettings = field(kw_only=True)
    _watched: Pods | None = None
    _podless: dict[str, float] = field(default_factory=dict)
    """Services without a pod, and since when, or when the namespace was looked at last."""
    _jobs: set[str] = field(default_factory=set)
    _record: Object | None = None
    _ranged: bool = False
    _fresh: bool = False
    _images: Mapping[str, ImageFacts] = field(default_factory=dict)
    _brought: Future[None] | None = None
    _looked: bool = False
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
    def _binding(self) -> Binding:
        return Binding(self.api, self.namespace, Cluster.of(self.settings.cluster).role or ROLE)

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
        """Their pods are filled from the images that hold the data."""
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
        """Once all are at the cluster, what runs is rendered anew: images say of themselves as which user they run."""
        if self._brought is None or service.build is None:
            return
        self._brought.result()
        with self._looking:
            if not self._looked:
                self._look_at_images()
            self._looked = True

    def create(self, *, whole: bool = True) -> None:
        """Everything but what runs, and the instance's record, before that: another machine finds in it how to use it, and to remove it.

        Raises:
            UsageError: the namespace is somebody else's.
        """
        common, again = list(self.manifests.common), True
        if not self.shared:
            again = self._is_there()
            self._fresh = not again
            self._take_in(self._namespace_made(self._owner_heard(common.pop(0)) if whole else common.pop(0), again))
            common = list(self.manifests.common[1:])
        if whole:
            told = begun_work(self.settings.worker) if self.settings.new else {}
            self._publish(self.settings.document, forwards.forwards_of(self.plan), told, self.settings.new)
            if self.shared and self.plan.setting.owner:
                heard_of_owner(self.api, self.namespace, self.id, now(OWNER_LASTS))
        objects = [item for parts in self.manifests.services.values() for item in parts.objects]
        note_added(self.api, self.namespace, self.id, self._added_kinds())
        each(self._check_free, [item for parts in self.manifests.services.values() for item in parts.added] if self.shared else [])
        each(self._apply, [*common, *objects], width=8)
        if whole and again:
            self._remove_strays()
        self._set_forwards(forwards.with_approvals(self.host, self.id, forwards.forwards_of(self.plan)), whole)

    def _namespace_made(self, namespace: Object, there: bool) -> Object:
        """Of two machines that make an instance at the same time, the one that makes the namespace is the first.

        Raises:
            MadeElsewhere: another one has.
        """
        if not self.settings.new:
            return self._apply(namespace)
        made, meta = {MADE: maker_of(self.settings.document)}, namespace["metadata"]
        if not there:
            with Ignoring(409), self.settings.in_flight.creating():
                return self.api.create({**namespace, "metadata": {**meta, "annotations": {**(meta.get("annotations") or {}), **made}}})
        found = own_namespace(self.api, self.namespace, self.id)  # a request whose answer was lost is made twice
        if found is None or not made.items() <= (found["metadata"].get("annotations") or {}).items():
            refuse_others(self.api, self.namespace, self.settings.document, must_be=True)
        return self._apply(namespace)

    def _owner_heard(self, namespace: Object) -> Object:
        """From its first moment on: of a machine that dies before it has said another word nobody would ever know that it has."""
        meta = namespace["metadata"]
        heard = {ALIVE: now(OWNER_LASTS)} if self.plan.setting.owner else {}
        return {**namespace, "metadata": {**meta, "annotations": {**(meta.get("annotations") or {}), **heard}}}

    def _take_in(self, namespace: Object) -> None:
        """What a namespace of our own asks for, and what it needs of another one."""
        if USER_RANGE in (namespace["metadata"].get("annotations") or {}):
            self._ranged = True
            self.__dict__.pop("manifests", None)
        cluster = Cluster.of(self.settings.cluster)
        each(lambda name: self._copy_secret(cluster.pull_secrets_from, name), cluster.pull_secrets)

    def _copy_secret(self, source: str, name: str) -> None:
        """Of a namespace that nobody named it may be missing: whoever made the cluster may put one into each namespace."""
        place, found = source or self.api.context.namespace, None
        try:
            found = self.api.get("v1", "Secret", place, name)
        except ApiError as error:
            if source or error.status != 403:
                raise EnvctlError(f"the pull secret {name} of {place} cannot be read: {error.message}") from None
        if found is None and source:
            hint = "`[kubernetes] pull_secrets` and `pull_secrets_from` of envctl.toml name it"
            raise EnvctlError(f"there is no pull secret {name} in the namespace {place}", hint=hint)
        if found is not None:
            told = self.manifests.common[0]["metadata"]
            meta = {"name": name, "namespace": self.namespace, "labels": {key: told["labels"][key] for key in COPIED}}
            self._apply(
                {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": found.get("type"), "data": found.get("data") or {}}
            )

    def _set_forwards(self, wanted: Sequence[Object], whole: bool) -> None:
        forwards.set_forwards(self.host, self.id, self.api.context, self.namespace, wanted, whole)

    def publish(self, document: Mapping[str, Any]) -> None:
        """With all forwards: also of the services that a part of a plan leaves out."""
        ours = [entry for entry in forwards.kept(self.host, self.id) if forwards.PROBE not in entry["name"]]
        self._publish(document, forwards.for_others(ours), done_work(self.settings.worker) if self.settings.new else {})

    def _publish(self, document: Mapping[str, Any], access: Sequence[Object], told: Mapping[str, str], new: bool = False) -> None:
        if document:
            with self.settings.in_flight.creating():
                self._record = self._with_rights(lambda: publish(self.api, self.namespace, document, access, told, new))

    def renew(self, expires: str | None, labels: Mapping[str, str]) -> None:
        """Nothing: `create` writes the time into the namespace and the record, where it is made as where it is there."""

    def _with_rights(self, what: Callable[[], Any]) -> Any:
        """In a namespace of its own, whose maker may have to give himself the rights there first."""
        return what() if self.shared else self._binding.with_rights(what)

    def _check_free(self, item: Object) -> None:
        """That what a definition adds to a namespace of others takes nobody's place there."""
        name = item["metadata"]["name"]
        found = self.api.get(item["apiVersion"], item["kind"], self.namespace, name)
        if found is not None and (found["metadata"].get("labels") or {}).get(INSTANCE) != item["metadata"]["labels"][INSTANCE]:
            raise UsageError(f"the namespace {self.namespace} has a {item['kind']} {name} that is not this instance's", hint="rename yours")

    def _is_there(self) -> bool:
        """Whether its namespace is; one that is being removed (a reaper, a closed pull request) is waited for.

        Raises:
            UsageError: it is somebody else's.
            EnvctlError: it does not go.
        """
        found = own_namespace(self.api, self.namespace, self.id)
        if found is None or not found["metadata"].get("deletionTimestamp"):
            return found is not None
        if not gone(self.api, self.namespace, found["metadata"]["uid"]):
            raise EnvctlError(f"the namespace {self.namespace} is still being removed", hint="`envctl down` says what keeps it")
        return False

    def pods(self, service: str = "") -> list[Object]:
        """None where its namespace is not made yet, though whoever has no rights there is not told so."""
        try:
            return list(self._with_rights(lambda: KubernetesInstance.pods(self, service)))
        except ApiError as error:
            if error.status != 403 or self.shared or own_namespace(self.api, self.namespace, self.id) is not None:
                raise
            return []

    def _apply(self, item: Object) -> Object:
        """A job cannot be changed and is made anew; a namespace that is new has no service account for a moment."""
        until, item = time.monotonic() + ACCOUNT, self._owned(item) if self.shared else item
        while True:
            try:
                with self.settings.in_flight.creating():
                    return self.api.apply(item) if item["kind"] == "Namespace" else dict(self._with_rights(lambda: self.api.apply(item)))
            except ApiError as error:
                if item["kind"] == "Job" and error.status == 422 and "immutable" in error.message:
                    self._delete_job(item)
                elif NO_ACCOUNT not in error.message or time.monotonic() > until:
                    raise self._refused(item, error) from None
                time.sleep(0.1)

    def _owned(self, item: Object) -> Object:
        """In a namespace of others everything goes with the record, so that a reaper needs no more than to delete that."""
        if self._record is None:
            self._record = self.api.get("v1", "Secret", self.namespace, record_name(self.id))
        return {**item, "metadata": {**item["metadata"], "ownerReferences": owners(self._record)}}

    def _refused(self, item: Object, error: ApiError) -> EnvctlError:
        name, service = f"{item['kind']} {item['metadata']['name']}", (item["metadata"].get("labels") or {}).get(SERVICE, "")
        if error.status == 403 and error.reason == "Forbidden" and "cannot" in error.message:
            hint = "`envctl cluster install --print` has the rights that envctl needs; `--namespace NS` needs them in one namespace only"
            return EnvctlError(f"{name}: no right to make it: {error.message}", hint=hint)
        found = refusal(error.message)
        if found is not None:
            return ServiceFailed(f"{service or name}: {found.what}", Evidence(service or name, found.step, advice=found.advice))
        return EnvctlError(f"{name} is refused: {error.message}", hint="`envctl render --engine kubernetes` shows what is asked for")

    def _added_kinds(self) -> set[tuple[str, str]]:
        added = (item for parts in self.manifests.services.values() for item in parts.added)
        return {(item["apiVersion"], item["kind"]) for item in added} - {*STRAYS}

    def _remove_strays(self) -> None:
        """What an earlier plan has made and this one does not; its Secrets tell what else there may be."""
        wanted = {(item["kind"], item["metadata"]["name"]) for item in self.manifests.everything()}
        there = list(chain.from_iterable(each(self._of_kind, STRAYS)))
        more = each(self._of_kind, added_kinds(item for item in there if item["kind"] == "Secret"))
        self._remove_unwanted([*there, *chain.from_iterable(more)], wanted)

    def _of_kind(self, kind: tuple[str, str]) -> list[Object]:
        """Those of the instance; most clusters have no HTTPRoutes."""
        with Ignoring(404):
            return self.api.list(*kind, self.namespace, f"{INSTANCE}={self.id}")
        return []

    def _remove_unwanted(self, there: Sequence[Object], wanted: Collection[tuple[str, str]]) -> None:
        for item in there:
            meta = item["metadata"]
            if (item["kind"], meta["name"]) not in wanted and RECORD not in (meta.get("labels") or {}):
                self.api.delete(item["apiVersion"], item["kind"], self.namespace, meta["name"], uid=meta["uid"])

    def start(self, service: ServicePlan) -> None:
        """Applies what runs, and waits until the pods of what has changed are gone."""
        before = self._known_pods(service.name)
        for item in self.manifests.services[service.name].workload:
            old = self.api.get(item["apiVersion"], item["kind"], self.namespace, item["metadata"]["name"]) if before else None
            new = self._apply(item)
            if old is not None and old["metadata"].get("generation") != new["metadata"].get("generation"):
                self._await_gone(before, service, max(service.stop, 10.0) + 30)  # until then they would pass for the new ones

    def _known_pods(self, service: str) -> list[Object]:
        watched = self._watched
        return self.pods(service) if watched is None else [pod for pod in list(watched.known.values()) if service_of(pod) == service]

    def _delete_job(self, item: Object) -> None:
        self.api.delete("batch/v1", "Job", self.namespace, item["metadata"]["name"], grace=0)

    def stop(self, service: ServicePlan) -> None:
        """What has data gets a new container in the same pod; of the rest the pods go, and new ones come at once."""
        pods = self.pods(service.name)
        if service.data is not None and all(self._restarted(pod) for pod in pods):
            return
        for pod in pods:
            self.api.delete("v1", "Pod", self.namespace, pod["metadata"]["name"])
        self._await_gone(pods, service, max(service.stop, 10.0) + 30)

    def _restarted(self, pod: Object) -> bool:
        return restart_in_place(self.api, pod, lambda: self.api.get("v1", "Pod", self.namespace, pod["metadata"]["name"]))

    def discard(self, service: ServicePlan) -> None:
        """Data lives as long as its pod: that goes, and an empty one comes."""
        pods = self.pods(service.name)
        for pod in pods:
            self.api.delete("v1", "Pod", self.namespace, pod["metadata"]["name"], grace=0)
        parts = self.manifests.services.get(service.name) if service.once else None
        for item in parts.workload if parts is not None else ():  # a Job that has ended makes no other pod
            self._delete_job(item)
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
        """A watch of its pods, which begins anew when it is cut off."""
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
        """As it is watched, while it is; one that will not heal is not running."""
        watched = self._watched
        return watched.state(service) if watched is not None else super().state(service)

    def exit_reason(self, service: ServicePlan) -> EnvctlError | None:
        """What Kubernetes says of its pod; where that has ended by itself, its own words say more."""
        found = self._watched.failures.get(service.name) if self._watched is not None else None
        if found is None:
            return None
        lines = tuple(text(self.logs(service.name, 40)).splitlines()) if found.step == "start" else ()
        return ServiceFailed(f"{service.name}: {found.what}", Evidence(service.name, found.step, logs=lines, advice=found.advice))

    def listening(self, service: str) -> Sequence[listening.Address]:
        """By its exec agent; where it has none, by kubectl."""
        if has_agent(self.pod(service)):
            return listening.addresses(self.execute(service, Execution(list(listening.COMMAND))).output)
        return listening.addresses(_output(self.interactive(service, listening.COMMAND, {}, None)))

    def execute(self, service: str, what: Execution) -> CommandResult:
        """A readiness check's command is the kubelet's to run, in the server's own container: what it found is asked for."""
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
        """*argv* in a Job with the image, the environment and the files of *service*."""
        self.await_image(service)
        job = once_job(self.plan, service, argv, f"once-{secrets.token_hex(3)}", self._options)
        self._jobs.add(job["metadata"]["name"])
        try:
            self._apply(job)
            if self._watched is not None:
                return self._ran(job["metadata"]["name"], self._watched, attached)
            alone = Pods(self.api, self.namespace, self.id, owners=self._owners)
            with alone.following():
                return self._ran(job["metadata"]["name"], alone, attached)
        finally:
            threading.Thread(target=self._delete_job, args=(job,)).start()

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
            return CommandResult(126, f"{stuck.what}\n{stuck.advice}" if stuck else f"the pod of the Job {job} has gone")
        ended = own_status(found).get("state", {}).get("terminated", {})
        if ended.get("reason") in NOT_STARTED:
            return CommandResult(127, str(ended.get("message", "")))
        status = exit_status(found)
        return CommandResult(1 if status is None else status, "" if attached else text(self._printed(found, None, ANSWER)))

    def _follow(self, pod: Object | None, attached: Attached) -> None:
        """A pod's log has one stream, and a pod that is deleted gets SIGTERM, whatever was meant; without grace it is killed."""
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
        """Says so of its pods, and waits until the cluster has seen it."""
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
        """Endpoints with data of ours refuse from now on when a pod has been replaced."""
        waiting = {service.name: service for service in self.plan.services.values() if forwards.needs_approval(service)}
        ours = forwards.forwards_of(replace(self.plan, services=waiting))
        if ours:
            self._set_forwards([entry | {"needs_approval": True} for entry in ours], whole=False)
        pods = self.pods() if ours else []
        for entry in ours:
            service = waiting[entry["name"].partition("/")[0]]
            # Of a pod that was replaced meanwhile the keeper makes the data anew.
            data = _data_id(service, pods) if service.name in whole else NO_DATA
            forwards.approve(self.host, self.id, entry["name"], data)

    def probe_ports(self, service: ServicePlan) -> Mapping[str, int]:
        return forwards.probing(self.host, self.id, self.api.context, self.namespace, service)

    def barred(self, service: ServicePlan) -> EnvctlError | None:
        words = forwards.barred(self.host, self.id, service.name)
        return EnvctlError(words, hint=RIGHTS) if words else self._removed_meanwhile(service.name)

    def _removed_meanwhile(self, service: str) -> EnvctlError | None:
        """That somebody has asked for the end of the namespace, which is looked at where the service has had no pod for a while."""
        pod = self._watched.of(service) if self._watched is not None else None
        if self.shared or (pod is not None and alive(pod)):
            self._podless.pop(service, None)
            return None
        if time.monotonic() - self._podless.setdefault(service, time.monotonic()) < PODLESS:
            return None
        found: Object | None = {"metadata": {}}  # of somebody who may not look
        with Ignoring(403):
            found = self.api.get("v1", "Namespace", None, self.namespace)
        if found is not None and not found["metadata"].get("deletionTimestamp"):
            self._podless[service] = time.monotonic()
            return None
        what = "is being removed" if found is not None else "was removed"
        return EnvctlError(
            f"the namespace {self.namespace} {what}", hint="it has expired, or somebody has ended it; `envctl up` makes it anew"
        )

    def data_id(self, service: ServicePlan) -> str:
        """Data lives as long as its pod, or its container; the keeper knows both by these numbers."""
        return _data_id(service, self._known_pods(service.name))


@contextmanager
def _noted(service: ServicePlan) -> Iterator[None]:
    """Around what is said of its pods. Raises EnvctlError: the cluster refuses it."""
    try:
        yield
    except ApiError as error:
        hint = "an administrator gives the right to `patch` pods/status with `envctl cluster install`"
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
    """
    Raises:
        EnvctlError: it fails, or says nothing for long.
    """
    try:
        done = subprocess.run(what.argv, env=what.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise EnvctlError(f"cannot tell where it listens: {error}") from None
    return done.stdout
