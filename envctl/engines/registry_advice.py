"""Advice for errors of an image registry, and for missing credentials; the same for pulls, builds and pushes."""

from __future__ import annotations

import re

_REFUSES = re.compile(r"(?<!permission )denied|unauthorized|authentication required|no basic auth", re.IGNORECASE)


def registry_advice(why: str) -> str:
    """Return what to do about Docker's message *why*; empty if it mentions neither a refusal, nor credentials, nor a full disk."""
    if "no space left" in why:
        return "the daemon's disk is full: `docker system df` shows what uses the space"
    if helper := re.search(r"docker-credential-[\w.-]+", why):
        return f"install {helper[0]}, or remove `credsStore` and `credHelpers` from Docker's config.json (of DOCKER_CONFIG, or ~/.docker)"
    return "log in to the registry (`docker login`), or check the image's name" if _REFUSES.search(why) else ""
