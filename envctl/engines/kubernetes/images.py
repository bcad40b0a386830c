"""The transfer of locally built images to the cluster: a push to a registry, or a load into a cluster on this machine."""

from __future__ import annotations

import http.client
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from envctl.engines.kubernetes.contexts import LOOPBACK_NAMES, Context
from envctl.engines.protocol import Progress
from envctl.engines.registry_advice import registry_advice
from envctl.errors import EngineMissing, EnvctlError, Evidence, ServiceFailed, UsageError
from envctl.plan.model import Plan, ServicePlan
from envctl.process.threads import each
from envctl.render.kubernetes import pushed_image

LOADERS = {
    "kind-": ("kind", "load", "docker-image", "{image}", "--name", "{cluster}"),
    "k3d-": ("k3d", "image", "import", "{image}", "--cluster", "{cluster}"),
    "minikube": ("minikube", "image", "load", "{image}", "--profile", "{context}"),
}
"""Prefix of a context name to the command that loads an image into the cluster."""
SHARED = ("docker-desktop", "rancher-desktop", "orbstack", "colima")
"""The contexts whose clusters use the images of Docker directly."""


def bring_images(context: Context, plan: Plan, environ: Mapping[str, str], progress: Progress) -> None:
    """Build images where the plan asks for it, and bring them to where the cluster's nodes find them.

    Raises:
        UsageError: there is no registry to push to, and the cluster needs one.
        EngineMissing: there is no Docker to build with.
        ServiceFailed: an image cannot be built, pushed or loaded.
        EnvctlError: the program that pushes or loads images is not installed.
    """
    built = check_way(context, plan)
    if not built:
        return
    _build(replace(plan, services={service.name: service for service in built}), environ, progress)
    once = {service.image: service for service in built}.values()
    each(lambda service: bring(context, service, plan.setting.registry, environ, progress), once)


def check_way(context: Context, plan: Plan) -> list[ServicePlan]:
    """Return the services whose images are built, after a check that the images can reach the cluster.

    Raises:
        UsageError: there is no registry to push to, and the cluster needs one.
    """
    built = [service for service in plan.services.values() if service.build is not None]
    if built and not reaches(context, plan.setting.registry):
        names = ", ".join(service.name for service in built)
        hint = "`--registry R` (or `registry` in envctl.toml) pushes it; `--image S=REF` uses an existing one"
        raise UsageError(f"{names}: built here, and the cluster of {context.name} cannot pull it", hint=hint)
    return built


def reaches(context: Context, registry: str | None) -> bool:
    """Return whether an image of this machine can be brought to the cluster."""
    return registry is not None or _loader(context) is not None or context.name in SHARED


def _build(plan: Plan, environ: Mapping[str, str], progress: Progress) -> None:
    from envctl.engines.docker.connection import connect
    from envctl.engines.docker.images import ensure_images

    try:
        connection = connect(None, environ)
    except EngineMissing as error:
        why = f"{', '.join(plan.services)}: nothing here can build images: {error.message}"
        raise EngineMissing(why, hint="`--image S=REF` uses an existing one") from None
    ensure_images(connection, plan, environ, progress)


def bring(
    context: Context,
    service: ServicePlan,
    registry: str | None,
    environ: Mapping[str, str],
    progress: Progress,
) -> None:
    """Bring the image of *service* from this machine to where the cluster's nodes find it.

    Raises:
        ServiceFailed: the image cannot be pushed or loaded.
        EnvctlError: the program that pushes or loads images is not installed.
    """
    if registry is not None:
        _push(service, pushed_image(service.image, registry), environ, progress)
    elif (loader := _loader(context)) is not None:
        progress(service.name, f"loading {service.image} into {context.name}")
        cluster = context.name.partition("-")[2]
        _run(service, [word.format(image=service.image, cluster=cluster, context=context.name) for word in loader], "load", environ)


def _loader(context: Context) -> tuple[str, ...] | None:
    return next((loader for prefix, loader in LOADERS.items() if context.name.startswith(prefix)), None)


def _push(service: ServicePlan, target: str, environ: Mapping[str, str], progress: Progress) -> None:
    """Push an image, unless the registry has it: its tag is a hash of its content, so that an existing image is the same."""
    if not _is_there(target):
        push(service, target, environ, progress)


def push(service: ServicePlan, target: str, environ: Mapping[str, str], progress: Progress) -> None:
    """Tag the image of *service* as *target*, and push it.

    Raises:
        ServiceFailed: Docker cannot tag or push the image.
        EnvctlError: the program `docker` is not installed.
    """
    progress(service.name, f"pushing {target}")
    _run(service, ["docker", "tag", service.image, target], "push", environ)
    _run(service, ["docker", "push", "-q", target], "push", environ)


def _is_there(target: str) -> bool:
    """Return whether the registry has *target*. Only a registry on this machine is asked: others need a login that only Docker has."""
    parts = urlsplit(f"//{target}")
    if parts.hostname not in (*LOOPBACK_NAMES, "127.0.0.1", "::1"):
        return False
    name, _, tag = parts.path.lstrip("/").rpartition(":")
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=3)
    try:
        accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, */*"
        connection.request("HEAD", f"/v2/{name}/manifests/{tag}", headers={"Accept": accept})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _run(service: ServicePlan, command: list[str], step: str, environ: Mapping[str, str]) -> None:
    if shutil.which(command[0], path=environ.get("PATH")) is None:
        hint = f"install {command[0]}, or use `--registry R`"
        raise EnvctlError(f"{service.name}: {command[0]} is needed to {step} its image", hint=hint)
    done = subprocess.run(
        command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        lines = tuple(line for line in done.stdout.splitlines() if line.strip())
        otherwise = "log in (`docker login`), and check that the registry is the one that the cluster pulls from"
        advice = registry_advice(done.stdout) or otherwise
        evidence = Evidence(service.name, step, logs=lines[-20:], advice=advice)
        last = lines[-1] if lines else f"exit {done.returncode}"
        raise ServiceFailed(f"{service.name}: its image cannot be brought to the cluster: {last}", evidence)
