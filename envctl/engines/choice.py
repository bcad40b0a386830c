"""Which engine when nobody says: Docker where a daemon answers, else local processes."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from envctl.errors import EngineMissing, UsageError
from envctl.instance.record import Location

if TYPE_CHECKING:
    from envctl.session import Session


def default_engine(environ: Mapping[str, str], context: str | None = None) -> str:
    """Asks no more than whether somebody listens: importing an SDK for that would cost a quarter of a second."""
    if context or environ.get("DOCKER_CONTEXT"):
        return "docker"
    from envctl.engines.docker.connection import find_endpoint

    return "docker" if _listens(find_endpoint(None, environ)[0].host) else "local"


def lasting_context(engine: str, environ: Mapping[str, str], context: str | None = None) -> str | None:
    """The daemon or cluster that is meant now, for the record: `down` must find it when the environment has changed.

    Raises:
        UsageError: a cluster that nobody has named and that is not of this machine.
    """
    if engine == "kubernetes":
        from envctl.engines.kubernetes.contexts import approved

        return approved(context, environ)
    if engine != "docker":
        return context
    from envctl.engines.docker.connection import find_endpoint

    try:
        endpoint, name = find_endpoint(context, environ)
    except EngineMissing:
        return context  # whoever opens it says so
    return endpoint.host if name in (None, "default") else name


def known_locations(session: Session) -> list[Location]:
    """Where instances may be beside those that are on record: this machine, its daemon, and the cluster that is configured."""
    there: list[Location] = []
    environ = session.environ
    default = default_engine(environ)
    with suppress(UsageError, EngineMissing):  # a cluster that may not be acted on keeps nobody from the rest
        there = configured_cluster(session)
    return list(dict.fromkeys([Location(default, lasting_context(default, environ)), Location("local"), *there]))


def configured_cluster(session: Session) -> list[Location]:
    """The cluster that the options of this command, the variables or envctl.toml name; none where they name another engine."""
    if session.option("engine") != "kubernetes":
        return []
    context = lasting_context("kubernetes", session.environ, session.option("context"))
    return [Location("kubernetes", context, session.option("namespace"))]


def _listens(host: str) -> bool:
    parts = urlsplit(host)
    if parts.scheme != "unix":
        return True
    with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        probe.connect(parts.path)
        return True
    return False
