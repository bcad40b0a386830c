"""What images say of themselves, as far as a Docker daemon of this machine knows it: their digests, their users, what they run on."""

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
"""A path of Docker's API to the JSON that is there."""


def image_facts(context: Context, plan: Plan, environ: Mapping[str, str]) -> dict[str, ImageFacts]:
    """By image; nothing where there is no daemon.

    A tag that has moved is seen, since its digest is what runs. Images of a cluster of this machine are loaded into it rather than
    pulled, and have none there; and a server keeps its tag, for another pod would not have its data.
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
    """What the registry calls it, which Docker knows since it was pushed."""
    repository = image.rpartition(":")[0]
    names = (str(name).partition("@") for name in seen.get("RepoDigests") or [])
    return next((digest for name, _, digest in names if name == repository), "")


def _answer(ask: Ask, path: str) -> Mapping[str, Any]:
    """Nothing where the daemon does not know it, or cannot reach the registry: the tag stays then."""
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
        return None if endpoint.host.startswith("ssh:") else Daemon(endpoint).get  # another machine's knows too little to log in for
    return None
