"""Which engine when nobody says: Docker where a daemon answers, else local processes."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from envctl.errors import EngineMissing, UsageError
from envctl.instance.record import Location

if TYPE_CHECKING:
    from envctl.session import Session


def default_engine(environ: Mapping[str, str], context: str | None = None, *, refuse_unseen: bool = False) -> str:
    """Asks no more than whether somebody listens: importing an SDK for that would cost a quarter of a second.

    Args:
        refuse_unseen: where Docker is there and this user may not use it, nobody wanted the definition's commands to run here instead.

    Raises:
        EngineMissing: so it is, and whoever sits at the terminal does not want it either.
    """
    if context or environ.get("DOCKER_CONTEXT"):
        return "docker"
    from envctl.engines.docker.connection import find_endpoint

    host = find_endpoint(None, environ)[0].host
    try:
        return "docker" if _listens(host) else "local"
    except PermissionError:
        if refuse_unseen and not _agreed(host):
            advice = "add yourself to the group `docker`, or use `--engine local`"
            raise EngineMissing(f"this user may not use Docker ({urlsplit(host).path}: permission denied)", hint=advice) from None
        return "local"


def _agreed(host: str) -> bool:
    """Asked on a terminal only: in CI nobody answers."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"envctl: this user may not use Docker ({urlsplit(host).path}).", file=sys.stderr)
    print("Run the services, and the commands of the definition, as processes of this machine? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def lasting_context(engine: str, environ: Mapping[str, str], context: str | None = None) -> str | None:
    """The daemon or cluster that is meant now, for the record: `down` must find it when the environment has changed.

    Raises:
        UsageError: a cluster that nobody has named and that is not of this machine.
    """
    if engine == "kubernetes":
        from envctl.engines.kubernetes.contexts import approved

        return approved(context, environ).name
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
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(2)
            probe.connect(parts.path)
    except PermissionError:
        raise
    except OSError:
        return False
    return True
