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
"""Seconds for all of it: pulling, building, starting, seeding."""


@dataclass(frozen=True)
class UpOptions:
    """The options of `up`, `run` and `test`.

    Attributes:
        environment: a name under environments/, a path, or a Compose file.
        engine: None: where the instance is already, else Docker where a daemon answers, else this machine.
        set: variable to its value.
        ports: service to the local port that it is to have.
        local: services that are processes of this machine, whatever the engine is.
        ttl: seconds after which it is removed; None: what the definition says.
        timeout: seconds for all of it.
        keep: what failed is not torn down.
        report: the folder for logs and status when it fails.
        lanes: how many parallel workers get data and services of their own; 0: nobody does.
        image_names: what is built gets the names that the definition gives.
        untrusted: the definition is a stranger's, and may do nothing to this machine.
        reseed: data whose seeds have changed since is made anew.
        no_snapshots: data is made, and neither taken from a snapshot nor kept as one.
        alone: the services that are started, nothing that they need; all without it.
        key: whose it is, instead of folder, user and machine; None: the job of CI, where this is one.
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
        return Selection(tuple(self.only), tuple(self.stub), dict(self.use), dict(self.image), self.lanes)

    def key_of(self, session: Session, project: Path) -> str:
        """Whose the instance is."""
        return self.key or session.key(project)

    def location(self, session: Session, current: Record | None) -> Location:
        """Where it is to be: as asked for, or where the instance is already.

        Raises:
            UsageError: a cluster that nobody has named and that is not of this machine, or processes for a stranger's definition.
            EngineMissing: Docker is there, and this user may not use it.
        """
        if self.engine is None and self.context is None and current is not None:
            return current.location
        engine = self.engine or default_engine(session.environ, self.context, refuse_unseen=True)
        if self.untrusted and (traits(engine).runs_processes or self.local):
            raise UsageError("--untrusted: a stranger's definition may not start processes on this machine", hint="take --engine docker")
        return Location(engine, lasting_context(engine, session.environ, self.context), self.namespace)

    def choices(self, session: Session, given: Mapping[str, str]) -> Choices:
        """What later commands must know to plan the same again; *given* are the variables that the definition took from outside."""
        cluster = session.settings.table("kubernetes", Cluster)
        return Choices(
            set=dict(given), only=tuple(self.only), stub=tuple(self.stub), use=dict(self.use), image=dict(self.image), lanes=self.lanes,
            port=dict(self.ports), local=tuple(self.local), images=session.settings.images(),
            kubernetes=for_strangers(cluster) if self.untrusted else cluster, docker=session.settings.table("docker", OnDocker),
            registry=self.registry, image_names=self.image_names, untrusted=self.untrusted,
        )  # fmt: skip
