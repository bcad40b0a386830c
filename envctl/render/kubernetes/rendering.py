"""The inputs of one rendering, and the names, labels and annotations that every object of an instance has."""

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
    """Facts about an image from its metadata; empty or None if they are not known."""

    digest: str = ""
    user: int | None = None
    platform: tuple[str, str] | None = None
    """The operating system and the architecture."""
    variables: Collection[str] | None = None
    """The names of the variables that the image sets."""


class Options(NamedTuple):
    """Options for the rendered objects: settings of the cluster, and how the objects are applied."""

    standalone: bool
    """Whether the objects are for plain `kubectl apply`, so that pods wait for each other. Otherwise `up` starts them in order."""
    namespace: str
    registry: str | None = None
    existing_secret: str | None = None
    cluster: Cluster = Cluster()
    expires: str | None = None
    ranged: bool = False
    """Whether the namespace has a range of users and rejects pods that name a user."""
    images: Mapping[str, ImageFacts] = {}
    """Facts about images, by the image's name in the plan."""


def label_value(text: str) -> str:
    """Return *text* as a valid label value. Characters that are not allowed are replaced, and a hash keeps different texts apart."""
    if _LABEL.fullmatch(text):
        return text
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '-', text)[:50].strip('-_.')}-{hashlib.sha256(text.encode()).hexdigest()[:6]}".lstrip("-")


def labels(plan: Plan, options: Options, service: ServicePlan | None = None, *, once: bool = False) -> dict[str, str]:
    """Return the labels of an object: the recommended ones and envctl's own, which replace those from envctl.toml.

    Args:
        once: whether the object runs one command for *service*. Then the selector of the service does not match it.
    """
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
    """Return the selector for the pods of *service*, or for all pods of the instance."""
    own = {INSTANCE: label_value(plan.setting.id)}
    return own | ({SERVICE: label_value(service.name)} if service is not None else {})


def common_name(plan: Plan, *words: str) -> str:
    """Return the name of an object that belongs to no service. In a shared namespace, it contains the instance's id."""
    return dns_label(plan.setting.id, *words) if plan.setting.shared else dns_label("envctl", *words)


PYTHON = "python:3.13-slim"
"""The image of envctl's own containers. It is the stub's image, so a node often has it already."""
_NOTHING: Mapping[str, Any] = {
    "command": [], "args": [], "env": [], "ports": [], "probe": None, "startup": None, "readiness": None, "mounts": [],
}  # fmt: skip
_SMALL = {"requests": Amount(cpu="10m", memory="24Mi"), "limits": Amount(cpu="1", memory="128Mi")}
"""The resources of envctl's own containers."""


class Rendering(NamedTuple):
    """The plan and the options of one rendering, and what is derived from them once for all objects."""

    plan: Plan
    options: Options
    vault: Vault
    templates: Templates
    access: Mapping[str, frozenset[str]]
    """Services, each with the names of the services that may connect to it."""
    later: Mapping[str, tuple[str, ...]]
    """Services, each with the words of the seed commands that run in a pod like the service's."""

    @property
    def account(self) -> str:
        """The name of the pods' ServiceAccount."""
        return common_name(self.plan)

    @property
    def python(self) -> str:
        """The image of envctl's own containers, with the image rewriting of envctl.toml applied."""
        return rewrite(PYTHON, self.plan.setting.rewrite)

    def drawer(self, service: ServicePlan) -> Drawer:
        """Return the empty content of the Secret for *service*."""
        return Drawer(self.vault, self.options.existing_secret or service.host)

    def metadata(self, name: str, service: ServicePlan | None = None, *, once: bool = False) -> dict[str, Any]:
        """Return the metadata of an object: its name, namespace, labels and annotations."""
        found = {"name": name, "namespace": self.options.namespace, "labels": labels(self.plan, self.options, service, once=once)}
        told = self.options.cluster.annotations
        return found | ({"annotations": dict(told)} if told else {})

    def container(self, name: str, image: str, **values: Any) -> Object:
        """Return a container object. Values that are not given are left out."""
        return self.templates.render("container", **{**_NOTHING, "read_only": True, **_SMALL, **values, "name": name, "image": image})

    def needed(self, job: ServicePlan) -> bool:
        """Return whether a service or a seed step waits for the end of *job*."""
        return any(
            needs.get(job.name) == "done"
            for other in self.plan.services.values()
            for needs in (other.needs, *(step.needs for step in other.steps))
        )
