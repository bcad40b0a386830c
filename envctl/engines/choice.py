"""Which engine when nobody says: Docker where a daemon answers, else local processes."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from envctl.errors import EngineMissing, UsageError

Location = tuple[str, str | None, str | None]
"""Engine, context and namespace."""


def default_engine(context: str | None = None) -> str:
    """Asks no more than whether somebody listens: importing an SDK for that would cost a quarter of a second."""
    if context or os.environ.get("DOCKER_CONTEXT"):
        return "docker"
    from envctl.engines.docker.contexts import find_endpoint

    return "docker" if _listens(find_endpoint(None)[0].host) else "local"


def lasting_context(engine: str, context: str | None = None) -> str | None:
    """The daemon or cluster that is meant now, for the record: `down` must find it when the environment has changed.

    Raises:
        UsageError: a cluster that nobody has named and that is not of this machine.
    """
    if engine == "kubernetes":
        from envctl.engines.kubernetes.contexts import approved

        return approved(context)
    if engine != "docker":
        return context
    from envctl.engines.docker.contexts import find_endpoint

    try:
        endpoint, name = find_endpoint(context)
    except EngineMissing:
        return context  # whoever opens it says so
    return endpoint.host if name in (None, "default") else name


def known_locations() -> list[Location]:
    """Where instances may be beside those that are on record: this machine, its daemon, and the cluster that the configuration names."""
    there: list[Location] = []
    default = default_engine()
    with suppress(UsageError, EngineMissing):  # a cluster that may not be acted on keeps nobody from the rest
        there = configured_cluster()
    return list(dict.fromkeys([(default, lasting_context(default), None), ("local", None, None), *there]))


def configured_cluster() -> list[Location]:
    """The cluster of the configuration: ENVCTL_ENGINE, ENVCTL_CONTEXT, ENVCTL_NAMESPACE, or envctl.toml's."""
    if os.environ.get("ENVCTL_ENGINE") != "kubernetes":
        return []
    context = os.environ.get("ENVCTL_CONTEXT") or None
    return [("kubernetes", lasting_context("kubernetes", context), os.environ.get("ENVCTL_NAMESPACE") or None)]


def _listens(host: str) -> bool:
    parts = urlsplit(host)
    if parts.scheme != "unix":
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(parts.path)
        except OSError:
            return False
    return True
