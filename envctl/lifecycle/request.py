"""What `up` is asked for, and who is told how it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from envctl.lifecycle.service_states import Row
from envctl.plan.model import Plan
from envctl.plan.transforms.options import Selection

DEFAULT_TIMEOUT = 600.0
"""Seconds for all of it: pulling, building, starting, seeding."""


class Reporter(Protocol):
    """Who shows the progress."""

    def begin(self, plan: Plan) -> None: ...
    def row(self, service: str, row: Row) -> None: ...
    def say(self, text: str) -> None: ...
    def end(self) -> None: ...


@dataclass(frozen=True)
class UpOptions:
    """What `up` is asked for."""

    environment: str
    name: str | None = None
    engine: str = "docker"
    context: str | None = None
    namespace: str | None = None
    registry: str | None = None
    cluster: Mapping[str, Any] = field(default_factory=dict)
    """`[kubernetes]` of envctl.toml: what a cluster wants of everything that is put into it."""
    overrides: Mapping[str, str] = field(default_factory=dict)
    selection: Selection = field(default_factory=Selection)
    ports: Mapping[str, int] = field(default_factory=dict)
    ttl: float | None = None
    timeout: float = DEFAULT_TIMEOUT
    fresh: bool = False
    keep: bool = False
    owner: str = ""
    local: Sequence[str] = ()
    """Services that are processes of this machine, whatever the engine is."""
    images: Mapping[str, str] = field(default_factory=dict)
    report: str | None = None
    """Where logs and status go when it fails."""
    cwd: Path = field(default_factory=Path.cwd)

    @property
    def options(self) -> dict[str, Any]:
        """What must be known to plan the same again."""
        chosen = self.selection
        return {
            "set": dict(self.overrides), "only": list(chosen.only), "stub": list(chosen.stub), "use": dict(chosen.use),
            "image": dict(chosen.image), "port": dict(self.ports), "images": dict(self.images),
            "kubernetes": dict(self.cluster),
        }  # fmt: skip
