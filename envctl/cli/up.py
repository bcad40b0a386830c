"""The commands `up`, `run` and `test`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from envctl.cli import github
from envctl.cli.arguments import Environment, session_of
from envctl.cli.completion import SERVICES, TESTS
from envctl.cli.options import Running, expanded, up_options
from envctl.cli.printing import describe, endpoints
from envctl.cli.progress import listener
from envctl.errors import EnvctlError, UsageError
from envctl.inspect.lookup import called
from envctl.inspect.status import document
from envctl.instance.record import InstanceState, Record
from envctl.lifecycle.data_watch import Leavings
from envctl.lifecycle.options import UpOptions
from envctl.lifecycle.run import run as run_with
from envctl.lifecycle.run import test as run_tests
from envctl.lifecycle.up import up as bring_up
from envctl.process.terminal import give, show, tell
from envctl.reports import polluters
from envctl.session import Session

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ReportDir = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="DIR",
        envvar="ENVCTL_REPORT",
        show_default=False,
        help="On failure, write the logs and the status of every service to this folder.",
    ),
]


@expanded
def up(ctx: typer.Context, env: Environment, options: Running, as_json: Json = False) -> None:
    """Bring an environment up, ready and seeded, and print its endpoints."""
    session, wanted = session_of(ctx), up_options(env, options)
    try:
        record = bring_up(session, wanted, [listener(session)]).record
    except EnvctlError as error:
        if as_json:
            _print_failure(session, wanted, error)
        raise
    if as_json:
        give(json.dumps(document(record), ensure_ascii=False) + "\n")
    else:
        show(*endpoints(record, called(session, record)))


def _print_failure(session: Session, wanted: UpOptions, error: EnvctlError) -> None:
    """Print the JSON document of the instance as far as it is known, together with *error*."""
    nothing = Record(
        name=wanted.name or wanted.environment, id="", environment=wanted.environment, engine=wanted.engine or "", project="", file="",
        created="", secret="", state=InstanceState.FAILED,
    )  # fmt: skip
    known = error.record if isinstance(error.record, Record) else nothing
    failed = {"state": "failed", "error": "\n".join(describe(error, session.mask))}
    give(json.dumps(document(known) | failed, ensure_ascii=False) + "\n")


@expanded
def run(
    ctx: typer.Context,
    env: Environment,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- CMD...", show_default=False, help="The command; the outputs are its environment variables."),
    ] = None,
    *,
    options: Running,
    inside: Annotated[
        str | None,
        typer.Option(
            "--in",
            metavar="S",
            show_default=False,
            help="Run the command in a container like that of service S: with its image, variables and networks.",
            autocompletion=SERVICES,
        ),
    ] = None,
    report: ReportDir = None,
) -> int:
    """Bring an environment up, run a command with its outputs, remove it; returns the command's exit code."""
    if not command:
        raise UsageError("there is no command to run", hint=f"envctl run {env} -- pytest")
    session = session_of(ctx)
    status = run_with(session, up_options(env, options, report), command, [listener(session)], inside)
    return _summarised(session, f"{env}: {command[0]} ended with {status}", status)


@expanded
def test_(
    ctx: typer.Context,
    env: Environment,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEST]...", show_default=False, help="Names of tests in the definition (default: all).", autocompletion=TESTS
        ),
    ] = None,
    *,
    options: Running,
    report: ReportDir = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Run the tests again whenever a file of the project changes, until Ctrl-C.")
    ] = False,
    watch_data: Annotated[
        bool, typer.Option("--watch-data", help="Report at the end which tests left data behind, and whose data they changed.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --watch-data: print the report as JSON; what the tests print goes to stderr.")
    ] = False,
    passed_on: Annotated[str, typer.Option("--passed-on", hidden=True)] = "[]",
) -> int:
    """Bring an environment up, run the definition's tests, remove it; returns the first exit code that is not 0.

    Arguments after `--` are passed on to the test: `envctl test shop api -- -k checkout`.
    """
    if as_json and not watch_data:
        raise UsageError("--json is for the report of --watch-data", hint=f"envctl test {env} --watch-data --json")
    session = session_of(ctx)
    leavings = Leavings(partial(print_leavings, as_json), 2 if as_json else None) if watch_data else None
    options_of_up = up_options(env, options, report)
    status = run_tests(session, options_of_up, names or (), [listener(session)], json.loads(passed_on), watch=watch, leavings=leavings)
    return _summarised(session, f"{env}: tests ended with {status}", status)


def print_leavings(as_json: bool, checkpoints: Sequence[Mapping[str, Any]], status: int) -> None:
    """Print the report of `--watch-data`: which tests left data behind. *status* is the exit code of the tests."""
    if as_json:
        give(json.dumps({"status": status, **polluters.document(checkpoints)}, ensure_ascii=False) + "\n")
    else:
        tell(*(f"envctl: {line}" for line in polluters.report(checkpoints) or [UNWATCHED]))


UNWATCHED = "no test was watched: use envctl's pytest plugin, or send `POST /v1/checkpoints` after each test"


def _summarised(session: Session, title: str, status: int) -> int:
    if github.runs_here(session.environ):
        github.summarise(session.environ, title)
    return status
