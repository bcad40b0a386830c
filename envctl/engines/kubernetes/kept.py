"""Data that Docker has kept reaches the cluster: an image, pushed where the cluster pulls from, and copied into a folder of the pod."""

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
    """What the Docker of this machine has kept, for the pods of one instance."""

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
        """Why pods get none of it; empty where they do."""
        if not reaches(self.api.context, self.registry):
            return "there is no registry for it (`--registry R`, or `registry` in envctl.toml)"
        if self._docker is None:
            return "there is no Docker here that could make it"
        with Ignoring(403, 404):
            if self.cluster.users == "namespace" or self.api.request("GET", "/apis/security.openshift.io"):
                return "its pods run as users that the namespace gives them, and cannot read it"
        return ""

    @property
    def docker(self) -> Connection:
        """Raises EnvctlError: there is none."""
        if self._docker is None:
            raise EnvctlError(self.unable)
        return self._docker

    @property
    def place(self) -> Location:
        """As Docker's own engine says it."""
        return Location("docker", self.docker.context or self.docker.endpoint.host)

    def identity(self, service: ServicePlan) -> str:
        """Of the image that Docker has; empty where it has none."""
        from envctl.engines.docker.snapshots import image_id

        return image_id(self.docker.daemon, service.image)

    def bring(self, service: ServicePlan, kept: SnapshotRecord, progress: Progress) -> SnapshotRecord:
        """It is where the cluster finds it, called by its digest there; and how its server starts, which nobody there could say."""
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
        """What the registry calls it: by its content, since anybody may push something else under its name."""
        push(service, target, self.environ, progress)
        repository, daemon = target.rpartition(":")[0], self.docker.daemon
        names = [str(name) for name in daemon.get(f"/images/{target}/json").get("RepoDigests") or []]
        daemon.request("DELETE", f"/images/{target}", patience=60)  # the name alone: with it, no `--prune` would remove the data
        return next((name for name in names if name.partition("@")[0] == repository), target)


def restored(service: ServicePlan, kept: SnapshotRecord | None) -> ServicePlan:
    """*service* in a pod that begins as what was kept: an empty folder as ever, filled first, so that it outlives the container."""
    if kept is None or service.snapshot is None:
        return service
    folder = service.snapshot.folder
    pod = service.pod.model_copy(update={"init_copies": {**service.pod.init_copies, folder: folder}})
    return replace(begun(service, kept.ref, kept.entrypoint, kept.command), pod=pod)
