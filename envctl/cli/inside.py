"""`exec`, `shell`: a command inside a service, on this terminal."""

from __future__ import annotations

import signal
import subprocess
from typing import Annotated

import typer

from envctl.cli.arguments import Instance, ServiceName, session_of
from envctl.engines.mixed import running_instance
from envctl.errors import EnvctlError, UsageError
from envctl.inspect.lookup import service_of
from envctl.instance.record import Record
from envctl.lifecycle.adoption import record_named
from envctl.session import Session


def exec_(
    ctx: typer.Context,
    name: Instance,
    service: ServiceName,
    command: Annotated[list[str] | None, typer.Argument(metavar="-- CMD...", show_default=False)] = None,
) -> int:
    """Run a command inside a service; returns its exit code."""
    if not command:
        raise UsageError("there is no command to run", hint=f"envctl exec {name} {service} -- ls")
    session = session_of(ctx)
    return _inside(session, record_named(session, name), service, command, {})


def shell(ctx: typer.Context, name: Instance, service: ServiceName) -> int:
    """Open the service's own client (psql, mariadb, valkey-cli, ...), or a shell where it has none."""
    session = session_of(ctx)
    record = record_named(session, name)
    entry = record.services[service_of(record, service)]
    argv = list(entry.shell) or ["sh", "-c", "command -v bash >/dev/null && exec bash || exec sh"]
    return _inside(session, record, service, argv, dict(entry.shell_env))


def _inside(session: Session, record: Record, service: str, argv: list[str], env: dict[str, str], user: str | None = None) -> int:
    there = running_instance(session.host, record)
    if not there.state(service_of(record, service)).running:
        raise EnvctlError(f"{service} does not run", hint=f"`envctl logs {record.name} {service}` may say why")
    what = there.interactive(service, argv, env, user)
    # Ctrl-C is the command's: on a terminal it gets it from there.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = subprocess.run(what.argv, env=what.env, cwd=what.cwd, check=False, preexec_fn=_default_interrupt).returncode
    except OSError as error:
        raise EnvctlError(f"{what.argv[0]} cannot be started: {error.strerror}") from None
    return status if status >= 0 else 128 - status


def _default_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
