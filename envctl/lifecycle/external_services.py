"""`--use S=URL`: checks that the server answers before anything is started."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from envctl.environment import Environment
from envctl.errors import UsageError
from envctl.plan.referenced_services import subjects
from envctl.process.terminal import tell
from envctl.process.threads import each

PATIENCE = 3.0
"""Seconds in which it has to take a connection."""
USUAL = {"http": 80, "https": 443}


def ask_used(environment: Environment, name: str) -> None:
    """Connects to each server that takes the place of a service of the instance *name*.

    One of the team's own services may be started by hand later, with what the instance gives it: of that it is only told.

    Raises:
        UsageError: a server does not answer.
    """
    each(lambda service: _ask(environment, service, name), list(environment.used))


def _ask(environment: Environment, service: str, name: str) -> None:
    subject, url = subjects(environment)[service], environment.used[service]
    parts = urlsplit(url)
    port = parts.port or USUAL.get(parts.scheme) or next(iter(subject.ports.values()), 0)
    try:
        socket.create_connection((parts.hostname or "", port), PATIENCE).close()
    except OSError as error:
        why = f"nothing answers at {parts.hostname}:{port} ({error.strerror or error})"
        if not subject.kind.own:
            raise UsageError(f"--use {service}: {why}", hint="start it first, or leave --use out; nothing was started") from None
        tell(f"envctl: {service}: {why} yet; `envctl env {name} --for {service}` prints what it gets")
