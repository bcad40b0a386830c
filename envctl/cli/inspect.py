"""The commands `status`, `env`, `logs`, `list`, `exec` and `shell`: look at an instance that is up, without its definition."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from envctl import outputs
from envctl.cli.arguments import Context, Engine, Instance, Lane, Namespace, ServiceName, looking_at, session_of
from envctl.cli.completion import FORMATS, INSTANCES, SERVICES
from envctl.cli.others import tell_others
from envctl.cli.printing import print_error, table
from envctl.cli.printing import status as shown_status
from envctl.cli.times import relative
from envctl.definition.variable_names import sourced
from envctl.engines import RunningInstance, open_engine
from envctl.engines.logs import LONGEST, whole_lines
from envctl.engines.mixed import running_instance
from envctl.errors import EnvctlError, UsageError, did_you_mean
from envctl.inspect.last_run import last_run
from envctl.inspect.list import everything
from envctl.inspect.lookup import called, records_here, service_of, unreadable_here
from envctl.inspect.report import write_report
from envctl.inspect.status import UNKNOWN, document, unseen
from envctl.instance.record import Record
from envctl.lifecycle.adoption import record_named
from envctl.process.terminal import give, show, tell
from envctl.session import Session

NOT_RUN = (126, 127)
"""The exit codes of a shell, and of Docker, if the program cannot be run or does not exist."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def status(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", show_default=False, help="The instance (default: all of this checkout).", autocompletion=INSTANCES
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Show the state of the services."""
    session = session_of(ctx)
    records = [record_named(session, name)] if name else records_here(session)
    documents = [_document(session, record, alone=name is not None) for record in records]
    broken = [] if name else unreadable_here(session)
    for error in broken:
        print_error(error, session.mask)
    seen_all = bool(name) or tell_others(session)
    if as_json:
        give(json.dumps(documents[0] if name else documents, ensure_ascii=False) + "\n")
    elif documents:
        for each in documents:
            if "error" in each:
                tell(f"envctl: {each['name']}: {session.mask(each['error'])}")
        show(*[line for each in documents for line in ("", *shown_status(each))][1:])
    elif not broken and seen_all:
        show("nothing is up in this checkout")
    return 1 if broken or not seen_all or any(each["state"] == UNKNOWN for each in documents) else 0


def _document(session: Session, record: Record, alone: bool) -> dict[str, Any]:
    """Return the status document of *record*.

    If the engine does not answer, the state is `unknown`, or the error is raised if *alone*.
    """
    try:
        return document(record, running_instance(session.host, record.location, record.id, record.choices.local).states())
    except EnvctlError as error:
        if alone:
            raise
        return unseen(record, error.message)


def env(
    ctx: typer.Context,
    name: Instance,
    format: Annotated[
        str, typer.Option("--format", metavar="F", help=" | ".join(outputs.FORMATS), show_default=True, autocompletion=FORMATS)
    ] = "dotenv",
    for_: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="S",
            help="Print the variables of service S instead, so that you can run it by hand.",
            show_default=False,
            autocompletion=SERVICES,
        ),
    ] = None,
    lane: Lane = None,
) -> None:
    """Print the outputs: addresses and credentials for tests and tools.

    In a parallel test worker, it prints the outputs of the worker's lane, unless --lane names another one.
    """
    from envctl.lifecycle.api import env as env_of

    session = session_of(ctx)
    record = record_named(session, name)
    values = _of_service(session, record, for_) if for_ else env_of(record.id, lane=lane, session=session)
    written = values if format == "json" else sourced(values, service=bool(for_))
    if left_out := [name for name in values if name not in written]:
        tell(f"left out, because these are not valid names of shell variables: {', '.join(left_out)}; `--format json` has them")
    give(outputs.formatted(format, written))
    if format == "gitlab":
        from envctl.outputs.gitlab import cautions

        for caution in cautions(written):
            tell(f"envctl: {caution}; `--format json` passes it on as a file")
    if format == "github":
        from envctl.outputs.github import masks

        print(masks([*record.secrets, *filter(None, [values.get("ENVCTL_TOKEN")])]), end="", file=sys.stderr, flush=True)


def _of_service(session: Session, record: Record, service: str) -> dict[str, str]:
    from envctl.lifecycle.planning import variables_by_hand

    addresses = open_engine(record.location, session.host).addresses()
    return variables_by_hand(session, record, addresses, service)


def logs(
    ctx: typer.Context,
    name: Instance,
    service: Annotated[
        list[str] | None, typer.Argument(metavar="[S]...", show_default=False, help="Services (default: all).", autocompletion=SERVICES)
    ] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Print new lines as they are written.")] = False,
    tail: Annotated[
        int | None, typer.Option("-n", "--tail", metavar="N", help="Only the last N lines of each service.", show_default=False)
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="DIR", help="Write files to this folder, with status.json.", show_default=False)
    ] = None,
) -> int | None:
    """Show the logs of an instance that is up, or of its last run if that failed."""
    session = session_of(ctx)
    if output:
        if service or follow or tail is not None:
            raise UsageError(
                "-o writes the logs of all services; it cannot be used with a service, -f or -n", hint=f"envctl logs {name} -o {output}"
            )
        try:
            write_report(session, record_named(session, name), session.cwd / output)
        except OSError as error:
            raise UsageError(f"{error.filename}: {error.strerror}") from None
        return None
    try:
        record = record_named(session, name)
    except UsageError:
        if (kept := last_run(session, name)) and not follow:
            _kept_logs(name, kept, service or list(kept), tail)
            return None
        raise
    names = [service_of(record, s) for s in service or record.services]
    there = running_instance(session.host, record.location, record.id, record.choices.local)
    prefix = len(names) > 1
    if follow:
        _follow(there, names, tail, prefix)
        return None
    unread = [each for each in names if not _shown(there, each, tail, prefix)]
    return EnvctlError.exit_code if unread else None


def _shown(there: RunningInstance, service: str, tail: int | None, prefix: bool) -> bool:
    """Print the log of *service* and return whether it could be read. An unreadable log must not hide the logs of other services."""
    before = f"{service} | " if prefix else ""
    try:
        for block in whole_lines(there.logs(service, tail)):
            give("".join(f"{before}{line}\n" for line in block.decode(errors="replace").splitlines()))
    except EnvctlError as error:
        if not prefix:
            raise
        tell(f"envctl: {error.message}")
        return False
    return True


def _kept_logs(name: str, kept: Mapping[str, Path], services: Sequence[str], tail: int | None) -> None:
    """Print the logs kept from the last run, which failed."""
    tell(f"{name} is not up; this is its last run, which failed")
    for service in services:
        if service not in kept:
            raise UsageError(f"the last run of {name} had no service '{service}'", hint=did_you_mean(service, list(kept)))
        before = f"{service} | " if len(services) > 1 else ""
        lines = kept[service].read_text("utf-8", "replace").splitlines()
        give("".join(f"{before}{line}\n" for line in lines[-tail if tail else None :]))


def _follow(there: RunningInstance, names: list[str], tail: int | None, prefix: bool) -> None:
    rest: dict[str, bytes] = {}
    for name, piece in there.follow(names, tail):
        *lines, rest[name] = (rest.get(name, b"") + piece).split(b"\n")
        if len(rest[name]) > LONGEST:
            lines.append(rest.pop(name))
        for line in lines:
            text = line.decode(errors="replace")
            give(f"{name} | {text}\n" if prefix else f"{text}\n")


def list_(
    ctx: typer.Context,
    all: Annotated[bool, typer.Option("--all", help="Show all instances that envctl can find, not only this checkout's.")] = False,
    as_json: Json = False,
    engine: Engine = None,
    context: Context = None,
    namespace: Namespace = None,
) -> int:
    """Show the instances of this checkout."""
    session = looking_at(ctx, engine, context, namespace)
    broken: list[str] = []
    rows = everything(session, all, broken.append)
    for why in broken:
        tell(f"envctl: {session.mask(why)}")
    if as_json:
        give(json.dumps(rows, ensure_ascii=False) + "\n")
    elif not rows and not broken:
        show("nothing is up" + ("" if all else " in this checkout"))
    elif rows:
        heads = ("NAME", "ENVIRONMENT", "ENGINE", "STATE", "CREATED", "EXPIRES", "ID", *(("PROJECT",) if all else ()))
        times = [{**row, "created": relative(row["created"]), "expires": relative(row["expires"])} for row in rows]
        cells = [[str(row[head.lower()] or "") for head in heads] for row in times]
        show(*table([heads, *cells]))
    return 1 if broken else 0


def exec_(
    ctx: typer.Context,
    name: Instance,
    service: ServiceName,
    command: Annotated[list[str] | None, typer.Argument(metavar="-- CMD...", help="The command.", show_default=False)] = None,
) -> int:
    """Run a command inside a service; returns its exit code.

    A database's own client gets the address and the password from variables, so that `-- psql` is enough.
    """
    if not command:
        raise UsageError("there is no command to run", hint=f"envctl exec {name} {service} -- ls")
    session = session_of(ctx)
    record = record_named(session, name)
    return _inside(session, record, service, command, dict(record.services[service_of(record, service)].shell_env))


def shell(ctx: typer.Context, name: Instance, service: ServiceName) -> int:
    """Open the service's own client (psql, mariadb, valkey-cli, ...), or a shell if it has none."""
    session = session_of(ctx)
    record = record_named(session, name)
    entry = record.services[service_of(record, service)]
    argv = list(entry.shell) or ["sh", "-c", "command -v bash >/dev/null && exec bash || exec sh"]
    status = _inside(session, record, service, argv, dict(entry.shell_env))
    if status in NOT_RUN:
        known = called(session, record)
        tell(
            f"envctl: {service} seems to have no {Path(entry.shell[0]).name if entry.shell else 'shell'} in its image",
            f"  `envctl status {known}` shows its address for a client of this machine",
        )
    return status


def _inside(session: Session, record: Record, service: str, argv: list[str], env: dict[str, str], user: str | None = None) -> int:
    there = running_instance(session.host, record.location, record.id, record.choices.local)
    if not there.state(service_of(record, service)).running:
        raise EnvctlError(f"{service} is not running", hint=f"`envctl logs {called(session, record)} {service}` may say why")
    what = there.interactive(service, argv, env, user)
    # Ctrl-C is for the command, which receives it from the terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = subprocess.run(what.argv, env=what.env, cwd=what.cwd, check=False, preexec_fn=_default_interrupt).returncode
    except FileNotFoundError:
        tell(f"envctl: there is no program '{argv[0]}' for {service}")
        return 127
    except OSError as error:
        raise EnvctlError(f"{what.argv[0]} cannot be started: {error.strerror}") from None
    return status if status >= 0 else 128 - status


def _default_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
