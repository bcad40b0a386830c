"""Advice if Docker refuses to create or start something, chosen by its message."""

from __future__ import annotations

import re

ADVICE = (
    (r"no space left on device", "the daemon's disk is full: `docker system df` shows what uses the space"),
    (r"address pool", "Docker has no addresses left for a network: `envctl gc`, or `docker network prune`"),
    (r'external volume "(?P<name>[^"]+)" not found', "`docker volume create {name}` creates it; or remove `external: true`"),
    (r"network (?P<name>\S+) declared as external", "`docker network create {name}` creates it; or remove `external: true`"),
    (r"unable to find (?P<what>user|group) \S+?:", "the image has no {what} of that name: check `user:` and `group_add:`, or the image"),
    (r"executable file not found|no such file or directory", "check `run:`, `command:` and `entrypoint:`: the image has no such program"),
    (r"operation not permitted", "the daemon does not allow that: check `privileged:`, `cap_add:`, `sysctls:` and `ulimits:`"),
    (r"not a shared or slave mount", "the daemon's machine does not share that mount: remove `propagation` (`:rslave`, `:rshared`)"),
)  # fmt: skip
"""Pairs of a pattern for Docker's message, and what to do."""


def advice(why: str) -> str:
    """Return what to do about Docker's message *why*."""
    found = ((re.search(pattern, why), text) for pattern, text in ADVICE)
    said = next((text.format(**match.groupdict()) for match, text in found if match), "")
    return said or "`docker events` and the daemon's log say more"
