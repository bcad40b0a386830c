"""What one rendering knows, and what every object of an instance carries: its names, labels and annotations."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from envctl.definition.kinds import Amount
from envctl.instance.labels import FOR, INSTANCE, NAME, ONCE, SERVICE
from envctl.plan.addressing import dns_label
from envctl.plan.images import rewrite
from envctl.plan.model import Plan, ServicePlan
from envctl.render.kubernetes.secrets import Drawer, Vault
from envctl.render.kubernetes.templates import Object, Templates
from envctl.render.kubernetes_settings import Cluster

_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


class ImageFacts(NamedTuple):
    """What an image says of itself; empty, or None, where nobody knows."""

    digest: str = ""
    user: int | None = None
    platform: tuple[str, str] | None = None
    """Operating system and architecture."""
    variables: Collection[str] | None = None
    """The names of those that it sets."""


class Options(NamedTuple):
    """How the objects are wanted: what the cluster asks for, and who applies them."""

    standalone: bool
    """For plain `kubectl apply`: the order of starting is in the pods. Otherwise for `up`, which keeps it itself."""
    namespace: str
    registry: str | None = None
    existing_secret: str | None = None
    cluster: Cluster = Cluster()
    expires: str | None = None
    ranged: bool = False
    """The namespace has a range of users, and whoever names one is refused."""
    images: Mapping[str, ImageFacts] = {}
    """What is known of an image, by its name in the plan."""


def label_value(text: str) -> str:
    """*text* as the value of a label: what is not allowed there is replaced, and told apart by a hash."""
    if _LABEL.fullmatch(text):
        return text
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '-', text)[:50].strip('-_.')}-{hashlib.sha256(text.encode()).hexdigest()[:6]}".lstrip("-")


def labels(plan: Plan, options: Options, service: ServicePlan | None = None, *, once: bool = False) -> dict[str, str]:
    """The well-known ones and ours; ours win over those of envctl.toml. What runs *once* for a service is not found as that service."""
    setting = plan.setting
    own = {
        "app.kubernetes.io/instance": label_value(setting.id),
        "app.kubernetes.io/managed-by": "envctl",
        "app.kubernetes.io/part-of": label_value(setting.environment),
        INSTANCE: label_value(setting.id),
        NAME: label_value(setting.name),
    }
    if service is not None:
        own |= {
            "app.kubernetes.io/component": label_value(service.name),
            "app.kubernetes.io/name": label_value(service.kind),
        }
        own |= {ONCE: "true", FOR: label_value(service.name)} if once else {SERVICE: label_value(service.name)}
    else:
        own |= {"app.kubernetes.io/name": "envctl"}
    return dict(sorted({**options.cluster.labels, **own}.items()))


def selector(plan: Plan, service: ServicePlan | None = None) -> dict[str, str]:
    """Of the pods of a service, or of the instance."""
    own = {INSTANCE: label_value(plan.setting.id)}
    return own | ({SERVICE: label_value(service.name)} if service is not None else {})


def common_name(plan: Plan, *words: str) -> str:
    """The name of something that belongs to no service: a namespace of others may hold several instances."""
    return dns_label(plan.setting.id, *words) if plan.setting.shared else dns_label("envctl", *words)


PYTHON = "python:3.13-slim"
"""What our own containers are made of: the stub's image, so that a node has it already."""
_NOTHING: Mapping[str, Any] = {
    "command": [], "args": [], "env": [], "ports": [], "probe": None, "startup": None, "readiness": None, "mounts": [],
}  # fmt: skip
_SMALL = {"requests": Amount(cpu="10m", memory="24Mi"), "limits": Amount(cpu="1", memory="128Mi")}
"""What a container of ours may use."""


class Rendering(NamedTuple):
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

    def metadata(self, name: str, service: ServicePlan | None = None, *, once: bool = False) -> dict[str, Any]:
        found = {"name": name, "namespace": self.options.namespace, "labels": labels(self.plan, self.options, service, once=once)}
        told = self.options.cluster.annotations
        return found | ({"annotations": dict(told)} if told else {})

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
