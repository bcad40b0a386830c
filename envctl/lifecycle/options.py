"""The options of `up`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envctl.engines.choice import default_engine, lasting_context
from envctl.engines.registry import traits
from envctl.errors import UsageError
from envctl.instance.record import Choices, Location, Record
from envctl.plan.exposing import OnDocker
from envctl.plan.transforms import Selection
from envctl.render.kubernetes_settings import Cluster, for_strangers
from envctl.session import Session

DEFAULT_TIMEOUT = 600.0
"""The seconds for the whole command: pulling, building, starting, seeding."""


@dataclass(frozen=True)
class UpOptions:
    """The options of `up`, `run` and `test`.

    Attributes:
        environment: a name under environments/, a path, or a Compose file.
        engine: None means the current place of the instance, else Docker if a daemon answers, else this machine.
        set: variable to its value.
        ports: service to its local port number.
        local: services that run as processes of this machine, whatever the engine.
        ttl: the seconds after which the instance is removed; None means the lifetime in the definition.
        timeout: the seconds for the whole command.
        keep: keep the instance after a failure.
        report: the folder for logs and status after a failure.
        lanes: the number of parallel workers with their own data and services; 0 means no lanes.
        image_names: built images get the names that the definition gives them.
        untrusted: the definition is untrusted, and may not touch this machine.
        reseed: recreate data if its seeds have changed since.
        no_snapshots: neither start from snapshots nor make them.
        alone: the only services to start, without the services that they need; empty means all.
        key: identifies the owner of the instance instead of folder, user and machine; None means the CI job, outside CI nothing.
    """

    environment: str
    name: str | None = None
    engine: str | None = None
    context: str | None = None
    namespace: str | None = None
    registry: str | None = None
    set: Mapping[str, str] = field(default_factory=dict)
    only: Sequence[str] = ()
    stub: Sequence[str] = ()
    use: Mapping[str, str] = field(default_factory=dict)
    image: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    local: Sequence[str] = ()
    ttl: float | None = None
    timeout: float = DEFAULT_TIMEOUT
    fresh: bool = False
    keep: bool = False
    report: str | None = None
    lanes: int = 0
    image_names: bool = False
    untrusted: bool = False
    reseed: bool = False
    no_snapshots: bool = False
    alone: Sequence[str] = ()
    key: str | None = None

    @property
    def selection(self) -> Selection:
        """The options that change an environment before it is planned."""
        return Selection(tuple(self.only), tuple(self.stub), dict(self.use), dict(self.image), self.lanes)

    def key_of(self, session: Session, project: Path) -> str:
        """Return the key of the instance; empty if there is none."""
        return self.key or session.key(project)

    def location(self, session: Session, current: Record | None) -> Location:
        """Return the place of the instance: as requested, or where *current* is already.

        Raises:
            UsageError: the cluster is not local and was not named explicitly, or an untrusted definition would start local processes.
            EngineMissing: Docker is installed, but this user may not use it.
        """
        if self.engine is None and self.context is None and current is not None:
            return current.location
        engine = self.engine or default_engine(session.environ, self.context, refuse_unseen=True)
        if self.untrusted and (traits(engine).runs_processes or self.local):
            raise UsageError("--untrusted: a stranger's definition may not start processes on this machine", hint="use --engine docker")
        return Location(engine, lasting_context(engine, session.environ, self.context), self.namespace)

    def choices(self, session: Session, given: Mapping[str, str]) -> Choices:
        """Return what later commands need to make the same plan; *given* are the variables that the definition received from outside."""
        cluster = session.settings.table("kubernetes", Cluster)
        return Choices(
            set=dict(given), only=tuple(self.only), stub=tuple(self.stub), use=dict(self.use), image=dict(self.image), lanes=self.lanes,
            port=dict(self.ports), local=tuple(self.local), images=session.settings.images(),
            kubernetes=for_strangers(cluster) if self.untrusted else cluster, docker=session.settings.table("docker", OnDocker),
            registry=self.registry, image_names=self.image_names, untrusted=self.untrusted,
        )  # fmt: skip
