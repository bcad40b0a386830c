"""`--use S=URL`: check that the server answers before anything is started."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from envctl.environment import Environment
from envctl.errors import UsageError
from envctl.plan.referenced_services import subjects
from envctl.process.terminal import tell
from envctl.process.threads import each

PATIENCE = 3.0
"""The seconds to wait for a connection."""
USUAL = {"http": 80, "https": 443}


def ask_used(environment: Environment, name: str) -> None:
    """Connect to each server that replaces a service of the instance *name*.

    A service of the team's own may be started by hand later, with the variables that the instance provides: it only causes a message.

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
