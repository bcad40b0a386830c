"""Facts about images, as far as a Docker daemon of this machine knows them: digests, users, platforms and environment variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from envctl.engines.kubernetes.contexts import Context
from envctl.errors import EnvctlError
from envctl.plan.model import Plan, ServicePlan
from envctl.process.threads import each
from envctl.render.kubernetes import known_user, pushed_image
from envctl.render.kubernetes.rendering import ImageFacts

Ask = Callable[[str], Any]
"""A function from a path of Docker's API to the JSON of the answer."""


def image_facts(context: Context, plan: Plan, environ: Mapping[str, str]) -> dict[str, ImageFacts]:
    """Return the facts about each image; empty if there is no Docker daemon.

    Pods run images by digest, so that a tag that has moved is noticed. There are two exceptions: a cluster on this machine does not know
    digests, because its images are loaded and not pulled; and a server keeps its tag, because a replaced pod would lose its data.
    """
    wanted = list(_once(service for service in plan.services.values() if _wanted(context, service)))
    ask = _daemon(environ) if wanted else None
    if ask is None:
        return {}
    found = each(lambda service: facts_of(ask, service, plan.setting.registry, resolve=not context.local), wanted)
    return {service.image: facts for service, facts in zip(wanted, found, strict=True)}


def _once(services: Iterable[ServicePlan]) -> Iterable[ServicePlan]:
    return {service.image: service for service in services}.values()


def _wanted(context: Context, service: ServicePlan) -> bool:
    return bool(service.unset) or service.build is not None or known_user(service) is None or not (context.local or service.data)


def facts_of(ask: Ask, service: ServicePlan, registry: str | None, resolve: bool) -> ImageFacts:
    """Return the facts about the image of *service*.

    Args:
        registry: the registry to which built images are pushed.
        resolve: whether to look up the current digest of an image that is not built.
    """
    seen = _answer(ask, f"/images/{service.image}/json")
    user = str((seen.get("Config") or {}).get("User") or "").partition(":")[0]
    platform = (str(seen["Os"]), str(seen["Architecture"])) if seen.get("Os") and seen.get("Architecture") else None
    digest = ""
    if service.build is not None:
        digest = _pushed(seen, pushed_image(service.image, registry)) if registry else ""
    elif resolve and service.data is None and "@" not in service.image:
        digest = str((_answer(ask, f"/distribution/{service.image}/json").get("Descriptor") or {}).get("digest", ""))
    variables = {str(text).partition("=")[0] for text in seen["Config"].get("Env") or ()} if seen.get("Config") else None
    return ImageFacts(digest, int(user) if user.isdigit() and int(user) else None, platform, variables)


def _pushed(seen: Mapping[str, Any], image: str) -> str:
    """Return the digest of a pushed image, which Docker knows after the push; empty if it was not pushed."""
    repository = image.rpartition(":")[0]
    names = (str(name).partition("@") for name in seen.get("RepoDigests") or [])
    return next((digest for name, _, digest in names if name == repository), "")


def _answer(ask: Ask, path: str) -> Mapping[str, Any]:
    """Return an answer of the daemon; empty if it does not know the image or cannot reach the registry, so that the tag is kept."""
    from envctl.engines.docker.api import ApiError

    with suppress(ApiError, EnvctlError, OSError):
        found = ask(path)
        return found if isinstance(found, dict) else {}
    return {}


def _daemon(environ: Mapping[str, str]) -> Ask | None:
    from envctl.engines.docker.api import Daemon
    from envctl.engines.docker.connection import find_endpoint

    with suppress(EnvctlError, OSError):
        endpoint = find_endpoint(None, environ)[0]
        return None if endpoint.host.startswith("ssh:") else Daemon(endpoint).get  # not worth a login on another machine
    return None
