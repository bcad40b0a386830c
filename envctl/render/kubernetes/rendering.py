"""What one rendering knows: its plan, what is wanted of it, and what is found out once for all services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envctl.definition.kinds import Amount
from envctl.plan.images import rewrite
from envctl.plan.model import Plan, ServicePlan
from envctl.render.kubernetes.objects import Object, Options, common_name, metadata
from envctl.render.kubernetes.secrets import Drawer, Vault
from envctl.render.kubernetes.templates import Templates

PYTHON = "python:3.13-slim"
"""What our own containers are made of: the stub's image, so that a node has it already."""
_NOTHING: Mapping[str, Any] = {
    "command": [], "args": [], "env": [], "ports": [], "probe": None, "startup": None, "readiness": None, "mounts": [],
}  # fmt: skip
_SMALL = {"requests": Amount(cpu="10m", memory="24Mi"), "limits": Amount(cpu="1", memory="128Mi")}
"""What a container of ours may use."""


@dataclass(frozen=True)
class Rendering:
    plan: Plan
    options: Options
    vault: Vault
    templates: Templates
    access: Mapping[str, frozenset[str]]
    """Service to those that may reach it."""
    later: Mapping[str, tuple[str, ...]]
    """Service to the words of the seed commands that run in its place."""

    @property
    def account(self) -> str:
        return common_name(self.plan)

    @property
    def python(self) -> str:
        return rewrite(PYTHON, self.plan.setting.rewrite)

    def drawer(self, service: ServicePlan) -> Drawer:
        return Drawer(self.vault, self.options.existing_secret or service.host)

    def metadata(self, name: str, service: ServicePlan | None = None) -> dict[str, Any]:
        return metadata(self.plan, self.options, name, service)

    def container(self, name: str, image: str, **values: Any) -> Object:
        """A container; what is not given is not there."""
        return self.templates.render("container", **{**_NOTHING, "read_only": True, **_SMALL, **values, "name": name, "image": image})

    def needed(self, job: ServicePlan) -> bool:
        """Whether somebody waits for the end of *job*."""
        return any(
            needs.get(job.name) == "done"
            for other in self.plan.services.values()
            for needs in (other.needs, *(step.needs for step in other.steps))
        )
