"""Render the pod of a service. Every pod meets the restricted Pod Security standard."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from envctl.definition.amounts import bytes_of, size_text
from envctl.definition.kinds import Amount
from envctl.instance.labels import CONTENT, NETWORK
from envctl.keeper.cluster.pod_status import MAIN_CONTAINER, SEEDED
from envctl.plan.model import Limits, Requested, ServicePlan
from envctl.render.kubernetes import exec_agent, probes
from envctl.render.kubernetes.composed import Composed, composed, composed_files
from envctl.render.kubernetes.files import Filed, filed
from envctl.render.kubernetes.rendering import ImageFacts, Rendering, label_value, labels
from envctl.render.kubernetes.secrets import Composer, Drawer
from envctl.render.kubernetes.templates import Object

NOBODY = 65534
"""The user id of a pod if neither the kind, the definition nor the image names one."""
STAYS = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}
"""Annotations that keep a pod on its node. Data is lost with its pod, so an autoscaler would take it from a running test."""
_OWN = Amount(cpu="25m", memory="48Mi")
_MOST = Amount(cpu="2", memory="512Mi")


class Made(NamedTuple):
    """A pod template, the content of the service's Secret, and the service's files."""

    pod: Object
    drawer: Drawer
    files: Filed


def made_pod(rendering: Rendering, service: ServicePlan, waits: Sequence[Object] = (), argv: Sequence[str] | None = None) -> Made:
    """Return the pod template of *service*, with the content of its Secret and its files.

    Args:
        waits: init containers that run before all others.
        argv: the command of a Job, which replaces the service's own program.
    """
    drawer, given = rendering.drawer(service), composed(service)
    files = {**composed_files(rendering.plan, service), **service.files}
    found = filed(service, files, drawer, f"{service.host}-files")
    volumes, mounts = _volumes(service, given, found)
    main, more = _main(rendering, service, given, drawer, mounts, argv)
    helpers, helper_volumes = exec_agent.containers(rendering, service, main, drawer) if argv is None else ([], [])
    init = [*waits, *(_copy(rendering, service, source, target) for source, target in service.pod.init_copies.items())]
    containers = [main, *helpers]
    if not rendering.options.standalone:
        drawer.note(*rendering.later.get(service.name, ()))  # Jobs that run in its place refer to its Secret.
    pod = rendering.templates.render(
        "pod",
        labels={**labels(rendering.plan, rendering.options, service, once=argv is not None), NETWORK: label_value(service.name)},
        annotations={
            **STAYS,
            **rendering.options.cluster.annotations,
            **_content(rendering, service, drawer, found),
            MAIN_CONTAINER: main["name"],
        },
        account=rendering.account,
        gates=[{"conditionType": SEEDED}] if argv is None and gated(rendering, service) else [],
        restart="Never" if argv is not None or service.once else "Always",
        grace=max(1, math.ceil(service.stop)),
        shared_processes=service.own and not helpers,
        user=_user(rendering, service),
        runtime_class=rendering.options.cluster.runtime_class,
        node_selector={**_platform(rendering, service), **rendering.options.cluster.node_selector},
        tolerations=rendering.options.cluster.tolerated,
        sysctls=[sysctl.model_dump() for sysctl in service.pod.sysctls],
        priority_class=rendering.options.cluster.priority_class,
        pull_secrets=[{"name": name} for name in rendering.options.cluster.pull_secrets],
        init=init,
        containers=containers,
        volumes=[*volumes, *more, *helper_volumes],
    )
    return Made(pod, drawer, found)


def gated(rendering: Rendering, service: ServicePlan) -> bool:
    """Return whether the pod counts as ready only after `up` has reported that its data is seeded."""
    return service.gated and not rendering.options.standalone


def known_user(service: ServicePlan) -> int | None:
    """Return the user id that the Compose file, the definition or the kind names; None if there is none, or if it is 0.

    Restricted pods may not run as root.
    """
    return composed(service).user or service.user or service.pod.user or None


def _user(rendering: Rendering, service: ServicePlan) -> int | None:
    """Return the user id of the pod; None if the cluster assigns one from the namespace's range."""
    if rendering.options.ranged or rendering.options.cluster.users == "namespace":
        return None
    return known_user(service) or facts(rendering, service).user or NOBODY


def facts(rendering: Rendering, service: ServicePlan) -> ImageFacts:
    """Return what is known about the image of *service*."""
    return rendering.options.images.get(service.image, ImageFacts())


def _platform(rendering: Rendering, service: ServicePlan) -> dict[str, str]:
    """Return a node selector: an image that was built on this machine runs only on nodes of the same platform."""
    platform = facts(rendering, service).platform if service.build is not None else None
    return {"kubernetes.io/os": platform[0], "kubernetes.io/arch": platform[1]} if platform else {}


def pushed_image(image: str, registry: str | None) -> str:
    """Return the name of an image that was built here in *registry*, from which the cluster pulls."""
    return f"{registry.rstrip('/')}/{image}" if registry else image


def image_of(rendering: Rendering, service: ServicePlan) -> str:
    """Return the image of the service's container, with its digest if it is known."""
    image = pushed_image(service.image, rendering.options.registry) if service.build is not None else service.image
    digest = facts(rendering, service).digest
    return f"{image}@{digest}" if digest and "@" not in image else image


def _main(
    rendering: Rendering, service: ServicePlan, given: Composed, drawer: Drawer, mounts: list[Object], argv: Sequence[str] | None
) -> tuple[Object, list[Object]]:
    """Return the container of the service itself, and the volumes that its probe needs."""
    composer = Composer(drawer, {**service.pod.env, **service.env})
    command: Sequence[str] = service.run or service.entrypoint or given.command
    args: Sequence[str] = service.command or (() if service.run else given.args)
    if argv is not None:
        command, args = argv, ()
    check, volumes = probes.without_secrets(service, probes.handler(service) if argv is None else None, drawer)
    if volumes:
        mounts = [*mounts, {"name": "probe", "mountPath": probes.SCRIPT, "readOnly": True}]
    made = rendering.container(
        main_name(service),
        image_of(rendering, service),
        command=composer.words(command),
        args=composer.words(args),
        env=composer.env(),
        ports=[{"containerPort": number, "protocol": "TCP"} for number in numbers(service)],
        read_only=service.pod.read_only,
        probe=check,
        startup=check and probes.startup(service, check),
        readiness=check and probes.readiness(check),
        mounts=mounts,
        **_resources(service, given),
    )
    if given.folder:
        made["workingDir"] = given.folder
    return made, volumes


def main_name(service: ServicePlan) -> str:
    """Return the name of the container that runs the service itself."""
    return re.sub(r"[^a-z0-9-]", "-", service.name.lower()).strip("-")[:50].strip("-") or "main"


def numbers(service: ServicePlan) -> list[int]:
    """Return the port numbers of *service*, each once."""
    return list(dict.fromkeys(port.number for port in service.ports))


def _volumes(service: ServicePlan, given: Composed, found: Filed) -> tuple[list[Object], list[Object]]:
    """Return the volumes and mounts: empty folders for paths that the service writes to, and its files."""
    folders = _folders(service, given)
    size = _said(service, given).storage
    folder = {"sizeLimit": size_text(size, "i")} if size else {}
    volumes: list[Object] = [{"name": f"folder-of-{number}", "emptyDir": dict(folder)} for number in range(len(folders))]
    mounts: list[Object] = [{"name": f"folder-of-{number}", "mountPath": path} for number, path in enumerate(folders)]
    return [*volumes, *found.volumes], [*mounts, *found.mounts]


def _folders(service: ServicePlan, given: Composed) -> list[str]:
    found = {*service.pod.writable, *service.writable, *given.writable, *([service.data] if service.data else [])}
    return sorted(found if service.pod.read_only and not service.from_compose else {*found, "/tmp"})


def _copy(rendering: Rendering, service: ServicePlan, source: str, target: str) -> Object:
    """Return an init container that copies the image's content of a folder into the empty folder mounted there."""
    folders = _folders(service, Composed())
    return rendering.container(
        f"copy-{folders.index(target)}",
        image_of(rendering, service),
        command=["cp", "-r", f"{source}/.", "/envctl-copy/"],
        mounts=[{"name": f"folder-of-{folders.index(target)}", "mountPath": "/envctl-copy"}],
    )


def _content(rendering: Rendering, service: ServicePlan, drawer: Drawer, found: Filed) -> dict[str, str]:
    """Return an annotation that changes with the files and passwords, so that the pod is recreated for new ones.

    The hash has a key, because a plain hash could reveal a weak password.
    """
    key = rendering.plan.setting.secret(service.name, "content").encode()
    files = [[entry.key, hashlib.sha256(entry.content).hexdigest()] for group in found.maps.values() for entry in group]
    digest = hmac.new(key or b"envctl", json.dumps(files).encode(), hashlib.sha256)
    if rendering.options.existing_secret is None:
        digest.update(json.dumps(drawer.data()).encode())
    return {CONTENT: digest.hexdigest()[:16]}


def _resources(service: ServicePlan, given: Composed) -> dict[str, Amount]:
    """Return the requests and limits of the container.

    Both are always set, because a quota rejects pods without them. Requests are never more than the limits: a request above the usual limit
    raises the limit.
    """
    own, said = service.pod, _said(service, given)
    limit = Amount(cpu=own.limits.cpu or _MOST.cpu, memory=own.limits.memory or _MOST.memory, storage=own.limits.storage)
    asked = Amount(cpu=own.requests.cpu or _OWN.cpu, memory=own.requests.memory or _OWN.memory, storage=own.requests.storage)
    return {"requests": _amount(said.requests, _bounded(asked, said, min)), "limits": _amount(said, _bounded(limit, said.requests, max))}


def _said(service: ServicePlan, given: Composed) -> Limits:
    """Return the resources in the definition, or in the Compose file."""
    if service.resources is not None:
        return service.resources
    limits, kept = given.resources or {}, given.reservations or {}
    requests = Requested(float(kept.get("cpus") or 0) or None, bytes_of(str(kept.get("memory") or 0)) or None)
    return Limits(float(limits.get("cpus") or 0) or None, bytes_of(str(limits.get("memory") or 0)) or None, None, requests)


def _amount(said: Limits | Requested, standard: Amount) -> Amount:
    found = {"cpu": said.cpu and f"{max(1, round(said.cpu * 1000))}m"}
    found |= {key: (size := getattr(said, key)) and size_text(size, "i") for key in ("memory", "storage")}
    return standard.model_copy(update={key: value for key, value in found.items() if value})


def _bounded(standard: Amount, said: Limits | Requested, pick: Callable[[int, int], int]) -> Amount:
    """Return *standard* bounded by *said*: at most *said* if *pick* is min, at least *said* if *pick* is max."""
    found = {"cpu": said.cpu and f"{pick(max(1, round(said.cpu * 1000)), _milli(standard.cpu))}m"}
    found |= {"memory": said.memory and size_text(pick(said.memory, bytes_of(standard.memory)), "i")}
    if said.storage and standard.storage:
        found["storage"] = size_text(pick(said.storage, bytes_of(standard.storage)), "i")
    return standard.model_copy(update={key: value for key, value in found.items() if value})


def _milli(text: str) -> int:
    return int(text[:-1]) if text.endswith("m") else round(float(text) * 1000)
