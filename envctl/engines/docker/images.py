"""Images are here before anything is created: pulled with progress, or built unless their content's tag exists."""

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
    """Every image of *plan* is on the daemon.

    Args:
        environ: the variables of the programs that build.

    Raises:
        ServiceFailed: one cannot be pulled or built; the message says why, in one sentence.
    """
    if to_build := pull_images(connection, plan, progress):
        build(connection, plan, to_build, environ, progress)


def pull_images(connection: Connection, plan: Plan, progress: Progress) -> list[ServicePlan]:
    """Every image that is not built is on the daemon; the services whose images have to be built come back, one for each image.

    Raises:
        ServiceFailed: one cannot be pulled.
    """
    # One service for each image: two that share one must not build it twice.
    services = list({(service.image, service.build is None): service for service in reversed(list(plan.services.values()))}.values())
    here = each(lambda service: _here(connection, service), services)
    missing = [service for service, there in zip(services, here, strict=True) if not there]
    each(lambda service: pull(connection, service, progress), [service for service in missing if service.build is None], width=4)
    return [service for service in missing if service.build is not None]


def _here(connection: Connection, service: ServicePlan) -> bool:
    """Whether it is there, and has been built of what is there now: a tag that the definition gives does not say that, its label does."""
    seen = _seen(connection, service.image)
    if seen is None or service.build is None:
        return seen is not None
    labels = (seen.get("Config") or {}).get("Labels") or {}
    return service.image.endswith(service.build.content) or labels.get(BUILD) == service.build.content


def _seen(connection: Connection, image: str) -> Any:
    try:
        return connection.daemon.find(f"/images/{image}/json")
    except ApiError as error:
        raise ServiceFailed(f"Docker cannot say whether {image} is there: {error}") from None


def pull(connection: Connection, service: ServicePlan, progress: Progress) -> None:
    warnings.filterwarnings("ignore", message="docker-credential-", category=UserWarning)  # our own error names the helper
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
    network = "check the name and the network; `images` in envctl.toml sends pulls to a mirror, --image S=REF takes another image"
    evidence = Evidence(service.name, "pull", advice=registry_advice(why) or network)
    return ServiceFailed(f"{service.name}: the image {service.image} cannot be pulled: {' '.join(why.split())}", evidence)


def build(connection: Connection, plan: Plan, services: list[ServicePlan], environ: Mapping[str, str], progress: Progress) -> None:
    """Builds through Compose, which knows every key of `build:`; the tag stays when the service is gone."""
    for service in services:
        progress(service.name, f"building {service.image}")
    entries = {service.name: {"image": service.image, "build": build_entry(service)} for service in services}
    secrets = _secrets(plan, services)
    # A file without a name: arguments may be secrets, and a kill leaves nothing of it.
    with TemporaryFile() as file:
        file.write(json.dumps({"name": "envctl-build", "services": entries, "secrets": secrets}).encode())
        file.seek(0)
        # An `.env` of the user's folder is not meant for it: what secrets need of one is in the plan.
        words = ["--env-file", os.devnull, "-f", "-", "build", *(service.name for service in services)]
        variables = {**plan.compose_variables, **connection.environment(environ)}
        try:
            run_compose(words, variables, told=lambda line: _tell_line(services, line, progress), stdin=file)
        except ComposeFailed as error:
            raise _cannot_build(services, str(error)) from None
    for service in services:
        progress(service.name, f"built {service.image}")


def _secrets(plan: Plan, services: list[ServicePlan]) -> dict[str, Any]:
    """Those of the Compose file that the builds of *services* name."""
    extra = [(service.build.build.model_extra or {}) if service.build else {} for service in services]
    given = [secret for each in extra for secret in each.get("secrets") or []]
    named = {str(secret.get("source") if isinstance(secret, Mapping) else secret) for secret in given}
    return {name: secret for name, secret in plan.compose_extra.get("secrets", {}).items() if name in named}


def _tell_line(services: list[ServicePlan], line: str, progress: Progress) -> None:
    """Compose names the service in the lines that begin a step; the others are everybody's."""
    named = [service for service in services if f"[{service.name} " in line]
    for service in named or services:
        if line.strip():
            progress(service.name, f"building {service.image}: {line}")


def _cannot_build(services: list[ServicePlan], output: str) -> ServiceFailed:
    # Where a build fails, BuildKit repeats the step: ` > [api 2/3] RUN make:`; the others were only cancelled.
    services = [service for service in services if re.search(rf"^ *> \[{re.escape(service.name)}[ \]]", output, re.MULTILINE)] or services
    names = ", ".join(service.name for service in services)
    lines = tuple(output.splitlines())
    # The last line is Docker's; those before it are what the steps printed, which may be of anything.
    why = output if "no space left on device" in output else lines[-1] if lines else ""
    advice = registry_advice(why) or f"`docker build {services[0].build.context}` shows the same"  # type: ignore[union-attr]
    first = next((service.name for service in services if f"[{service.name} " in "\n".join(lines[-25:])), services[0].name)
    return ServiceFailed(f"{names}: the image cannot be built", Evidence(first, "build", logs=lines[-60:], advice=advice))


KEPT_DAYS = 7
"""Built images are a cache, as pulled ones are: `gc` removes those that are older and unused."""


def prune(connection: Connection, everything: bool) -> list[str]:
    """Removes images that we built and no container uses; their tags come back."""
    api, oldest = connection.api, time.time() - KEPT_DAYS * 86400
    used = {container["ImageID"] for container in api.containers(all=True)}
    removed: list[str] = []
    for image in api.images(filters={"label": BUILD}):
        if image["Id"] not in used and SNAPSHOT not in (image.get("Labels") or ()) and (everything or image["Created"] < oldest):
            with suppress(sdk_errors.APIError):
                api.remove_image(image["Id"], force=True)
                removed += image["RepoTags"] or [image["Id"][:19]]
    return removed
