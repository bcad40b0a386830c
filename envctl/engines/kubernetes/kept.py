"""Snapshots that Docker has made, for pods: each is an image that is brought to the cluster and copied into a folder of the pod."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from envctl.engines.kept_images import begun
from envctl.engines.kubernetes.api import Api, Ignoring
from envctl.engines.kubernetes.images import bring, push, reaches
from envctl.engines.protocol import Progress
from envctl.errors import EngineMissing, EnvctlError
from envctl.instance.record import Location, SnapshotRecord
from envctl.plan.model import ServicePlan
from envctl.render.kubernetes import pushed_image
from envctl.render.kubernetes_settings import Cluster

if TYPE_CHECKING:
    from envctl.engines.docker.connection import Connection


@dataclass
class KeptByDocker:
    """The snapshots of this machine's Docker, for the pods of one instance."""

    api: Api
    registry: str | None
    cluster: Cluster
    environ: Mapping[str, str]

    @cached_property
    def _docker(self) -> Connection | None:
        from envctl.engines.docker.connection import connect

        with suppress(EngineMissing):
            return connect(None, self.environ)
        return None

    @cached_property
    def unable(self) -> str:
        """Why the pods cannot use snapshots; empty if they can."""
        if not reaches(self.api.context, self.registry):
            return "no registry is set for it (`--registry R`, or `registry` in envctl.toml)"
        if self._docker is None:
            return "there is no Docker here that could build it"
        with Ignoring(403, 404):
            if self.cluster.users == "namespace" or self.api.request("GET", "/apis/security.openshift.io"):
                return "its pods run as users that the namespace gives them, and cannot read it"
        return ""

    @property
    def docker(self) -> Connection:
        """The connection to Docker.

        Raises:
            EnvctlError: there is no Docker here.
        """
        if self._docker is None:
            raise EnvctlError(self.unable)
        return self._docker

    @property
    def place(self) -> Location:
        """The location of the snapshots, as the Docker engine names it."""
        return Location("docker", self.docker.context or self.docker.endpoint.host)

    def identity(self, service: ServicePlan) -> str:
        """Return the id of the service's image in Docker; empty if Docker does not have the image."""
        from envctl.engines.docker.snapshots import image_id

        return image_id(self.docker.daemon, service.image)

    def bring(self, service: ServicePlan, kept: SnapshotRecord, progress: Progress) -> SnapshotRecord:
        """Bring a snapshot to the cluster; return it with its name there and the command that starts its server.

        If there is a registry, the name contains the digest. The cluster itself cannot find out the command.

        Raises:
            ServiceFailed: the image cannot be pushed or loaded.
            EnvctlError: Docker refuses a request.
        """
        from envctl.engines.docker.api import ApiError

        image = replace(service, image=kept.ref)
        try:
            config = self.docker.daemon.get(f"/images/{service.image}/json")["Config"]
            kept = replace(kept, entrypoint=tuple(config.get("Entrypoint") or ()), command=tuple(config.get("Cmd") or ()))
            if self.registry is not None:
                return replace(kept, ref=self._pushed(image, pushed_image(kept.ref, self.registry), progress))
        except (ApiError, OSError) as error:
            raise EnvctlError(f"Docker: {error}") from None
        bring(self.api.context, image, None, self.environ, progress)
        return kept

    def _pushed(self, service: ServicePlan, target: str, progress: Progress) -> str:
        """Push an image; return its name with the digest, because somebody else may push another image under the same tag."""
        push(service, target, self.environ, progress)
        repository, daemon = target.rpartition(":")[0], self.docker.daemon
        names = [str(name) for name in daemon.get(f"/images/{target}/json").get("RepoDigests") or []]
        daemon.request("DELETE", f"/images/{target}", patience=60)  # only the name; while it exists, `--prune` cannot remove the data
        return next((name for name in names if name.partition("@")[0] == repository), target)


def restored(service: ServicePlan, kept: SnapshotRecord | None) -> ServicePlan:
    """Return *service* with a pod that starts from the snapshot *kept*, if there is one.

    The data folder is a volume, which is filled before the server starts, so that the data outlives the container.
    """
    if kept is None or service.snapshot is None:
        return service
    folder = service.snapshot.folder
    pod = service.pod.model_copy(update={"init_copies": {**service.pod.init_copies, folder: folder}})
    return replace(begun(service, kept.ref, kept.entrypoint, kept.command), pod=pod)
