"""The choice of an engine if none is named: Docker if a daemon listens, else local processes."""

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
    """Return the name of the engine to use if none is named.

    This only tries to connect to the daemon's socket: importing an SDK takes a quarter of a second.

    Args:
        context: a Docker context; naming one, here or in DOCKER_CONTEXT, chooses Docker.
        refuse_unseen: whether to refuse local processes if Docker runs but this user may not use it, unless the user agrees on
            the terminal. The commands of the definition then do not run on this machine by surprise.

    Raises:
        EngineMissing: this user may not use Docker and did not agree to local processes.
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
    """Ask the user on the terminal; without a terminal, as in CI, the answer is no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"envctl: this user may not use Docker ({urlsplit(host).path}).", file=sys.stderr)
    print("Run the services, and the commands of the definition, as processes of this machine? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def lasting_context(engine: str, environ: Mapping[str, str], context: str | None = None) -> str | None:
    """Return the daemon or cluster that is used now, for the record: `down` must find it even if environment variables have changed.

    Raises:
        UsageError: the cluster is not on this machine, and was not named explicitly.
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
        return context  # opening the engine reports the error
    return endpoint.host if name in (None, "default") else name


def known_locations(session: Session) -> list[Location]:
    """Return where instances may exist besides those on record: this machine, its Docker daemon, and the configured cluster."""
    there: list[Location] = []
    environ = session.environ
    default = default_engine(environ)
    with suppress(UsageError, EngineMissing):  # a cluster that may not be used must not hide the other locations
        there = configured_cluster(session)
    return list(dict.fromkeys([Location(default, lasting_context(default, environ)), Location("local"), *there]))


def configured_cluster(session: Session) -> list[Location]:
    """Return the cluster that the options, the variables or envctl.toml name; an empty list if they name another engine."""
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
