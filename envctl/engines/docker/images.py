"""Images, made available before anything is created: pulled with progress, or built unless the tag for their content exists."""

from __future__ import annotations

import json
import os
import re
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from tempfile import TemporaryFile
from typing import Any

from envctl.engines.docker.api import ApiError
from envctl.engines.docker.compose import ComposeFailed, run_compose
from envctl.engines.docker.connection import Connection, sdk_errors
from envctl.engines.protocol import Progress
from envctl.engines.registry_advice import registry_advice
from envctl.errors import Evidence, ServiceFailed
from envctl.instance.labels import BUILD, SNAPSHOT
from envctl.plan.model import Plan, ServicePlan
from envctl.process.threads import each
from envctl.render.compose import build_entry


def ensure_images(connection: Connection, plan: Plan, environ: Mapping[str, str], progress: Progress) -> None:
    """Pull or build every image of *plan* that the daemon lacks.

    Args:
        environ: the environment variables of programs that build.

    Raises:
        ServiceFailed: an image cannot be pulled or built; the message gives the reason in one sentence.
    """
    if to_build := pull_images(connection, plan, progress):
        build(connection, plan, to_build, environ, progress)


def pull_images(connection: Connection, plan: Plan, progress: Progress) -> list[ServicePlan]:
    """Pull every image that is not built, and return the services whose images have to be built, one for each image.

    Raises:
        ServiceFailed: an image cannot be pulled.
    """
    # One service for each image: two services with the same image must not build it twice.
    services = list({(service.image, service.build is None): service for service in reversed(list(plan.services.values()))}.values())
    here = each(lambda service: _here(connection, service), services)
    missing = [service for service, there in zip(services, here, strict=True) if not there]
    each(lambda service: pull(connection, service, progress), [service for service in missing if service.build is None], width=4)
    return [service for service in missing if service.build is not None]


def _here(connection: Connection, service: ServicePlan) -> bool:
    """Return whether the image exists and is built from the current files. A tag of the definition does not show that, but a label does."""
    seen = _seen(connection, service.image)
    if seen is None or service.build is None:
        return seen is not None
    labels = (seen.get("Config") or {}).get("Labels") or {}
    return service.image.endswith(service.build.content) or labels.get(BUILD) == service.build.content


def _seen(connection: Connection, image: str) -> Any:
    try:
        return connection.daemon.find(f"/images/{image}/json")
    except ApiError as error:
        raise ServiceFailed(f"Docker cannot tell whether {image} exists: {error}") from None


def pull(connection: Connection, service: ServicePlan, progress: Progress) -> None:
    """Pull the image of *service*.

    Raises:
        ServiceFailed: the image cannot be pulled.
    """
    warnings.filterwarnings("ignore", message="docker-credential-", category=UserWarning)  # envctl's own error names the helper
    try:
        for event in connection.api.pull(*_reference(service.image), stream=True, decode=True):
            if "error" in event:
                raise _cannot_pull(service, str(event["error"]))
            if text := _progress(event):
                progress(service.name, f"pulling {service.image}: {text}")
    except sdk_errors.DockerException as error:
        raise _cannot_pull(service, str(getattr(error, "explanation", None) or error)) from None


def _reference(image: str) -> tuple[str, str | None]:
    if "@" in image:
        return image, None
    name, colon, tag = image.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (image, "latest")


def _progress(event: dict[str, Any]) -> str:
    detail = event.get("progressDetail") or {}
    if event.get("status") == "Downloading" and detail.get("total"):
        return f"{100 * detail['current'] // detail['total']} % of a layer"
    return ""


def _cannot_pull(service: ServicePlan, why: str) -> ServiceFailed:
    network = "check the name and the network; `images` in envctl.toml sends pulls to a mirror, --image S=REF uses another image"
    evidence = Evidence(service.name, "pull", advice=registry_advice(why) or network)
    return ServiceFailed(f"{service.name}: the image {service.image} cannot be pulled: {' '.join(why.split())}", evidence)


def build(connection: Connection, plan: Plan, services: list[ServicePlan], environ: Mapping[str, str], progress: Progress) -> None:
    """Build the images through Compose, which supports every key of `build:`; their tags stay when the services are removed.

    Raises:
        ServiceFailed: an image cannot be built.
    """
    for service in services:
        progress(service.name, f"building {service.image}")
    entries = {service.name: {"image": service.image, "build": build_entry(service)} for service in services}
    secrets = _secrets(plan, services)
    # An unnamed file: arguments may be secrets, and must not stay on disk if envctl is killed.
    with TemporaryFile() as file:
        file.write(json.dumps({"name": "envctl-build", "services": entries, "secrets": secrets}).encode())
        file.seek(0)
        # Compose must not read an `.env` of the current folder; the plan has the variables that secrets need.
        words = ["--env-file", os.devnull, "-f", "-", "build", *(service.name for service in services)]
        variables = {**plan.compose_variables, **connection.environment(environ)}
        try:
            run_compose(words, variables, told=lambda line: _tell_line(services, line, progress), stdin=file)
        except ComposeFailed as error:
            raise _cannot_build(services, str(error)) from None
    for service in services:
        progress(service.name, f"built {service.image}")


def _secrets(plan: Plan, services: list[ServicePlan]) -> dict[str, Any]:
    """Return the secrets of the Compose file that the builds of *services* use."""
    extra = [(service.build.build.model_extra or {}) if service.build else {} for service in services]
    given = [secret for each in extra for secret in each.get("secrets") or []]
    named = {str(secret.get("source") if isinstance(secret, Mapping) else secret) for secret in given}
    return {name: secret for name, secret in plan.compose_extra.get("secrets", {}).items() if name in named}


def _tell_line(services: list[ServicePlan], line: str, progress: Progress) -> None:
    """Report a line of output. Compose names the service only in the first line of a step; all other lines go to all services."""
    named = [service for service in services if f"[{service.name} " in line]
    for service in named or services:
        if line.strip():
            progress(service.name, f"building {service.image}: {line}")


def _cannot_build(services: list[ServicePlan], output: str) -> ServiceFailed:
    # BuildKit prints the failed step again: ` > [api 2/3] RUN make:`; all other builds were only cancelled.
    services = [service for service in services if re.search(rf"^ *> \[{re.escape(service.name)}[ \]]", output, re.MULTILINE)] or services
    names = ", ".join(service.name for service in services)
    lines = tuple(output.splitlines())
    # Only the last line is Docker's own; the build steps printed those before it, and may mention any error.
    why = output if "no space left on device" in output else lines[-1] if lines else ""
    advice = registry_advice(why) or f"`docker build {services[0].build.context}` shows the same"  # type: ignore[union-attr]
    first = next((service.name for service in services if f"[{service.name} " in "\n".join(lines[-25:])), services[0].name)
    return ServiceFailed(f"{names}: the image cannot be built", Evidence(first, "build", logs=lines[-60:], advice=advice))


KEPT_DAYS = 7
"""The days that `gc` keeps unused images which envctl has built: they are a cache, like pulled images."""


def prune(connection: Connection, everything: bool) -> list[str]:
    """Remove images that envctl has built and that no container uses, and return their tags.

    Args:
        everything: whether to remove recent images, too.
    """
    api, oldest = connection.api, time.time() - KEPT_DAYS * 86400
    used = {container["ImageID"] for container in api.containers(all=True)}
    removed: list[str] = []
    for image in api.images(filters={"label": BUILD}):
        if image["Id"] not in used and SNAPSHOT not in (image.get("Labels") or ()) and (everything or image["Created"] < oldest):
            with suppress(sdk_errors.APIError):
                api.remove_image(image["Id"], force=True)
                removed += image["RepoTags"] or [image["Id"][:19]]
    return removed
