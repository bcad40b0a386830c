"""`up`, `run`, `test`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from envctl import instance
from envctl.cli.arguments import Environment
from envctl.cli.failure import describe, masked
from envctl.cli.options import Running, expanded, request
from envctl.cli.progress import reporter
from envctl.cli.show import document, endpoints
from envctl.errors import EnvctlError, UsageError
from envctl.instance import Record
from envctl.lifecycle.run import Job, run_jobs
from envctl.lifecycle.up import open_selected
from envctl.lifecycle.up import up as bring_up

Json = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")]
ReportDir = Annotated[
    str | None,
    typer.Option(
        "--report", metavar="DIR", envvar="ENVCTL_REPORT", show_default=False, help="When it fails: logs and status of every service here."
    ),
]


@expanded
def up(env: Environment, options: Running, as_json: Json = False) -> None:
    """Bring an environment up, ready and seeded, and print its endpoints."""
    wanted = request(env, options)
    try:
        record = bring_up(wanted, _reporter())
    except EnvctlError as error:
        if as_json:
            _print_failure(wanted, error)
        raise
    if as_json:
        print(json.dumps(document(record), ensure_ascii=False))
    else:
        print(endpoints(record))


def _print_failure(wanted: Any, error: EnvctlError) -> None:
    """The same document with what is known, and the error."""
    name = wanted.name or wanted.environment
    empty = Record(
        name=name, id="", environment=wanted.environment, engine=wanted.engine, project="", file="", created="", secret="", state="failed"
    )
    known = error.record if isinstance(error.record, Record) else empty
    print(json.dumps(document(known) | {"state": "failed", "error": masked(describe(error))}, ensure_ascii=False))


def _reporter() -> Any:
    return reporter()


@expanded
def run(
    env: Environment,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- CMD...", show_default=False, help="What runs with the outputs in its environment.")
    ] = None,
    *,
    options: Running,
    report: ReportDir = None,
) -> int:
    """Bring an environment up, run a command with its outputs, tear it down; returns the command's exit code."""
    if not command:
        raise UsageError("there is no command to run", hint="envctl run ENV -- pytest")
    return run_jobs(request(env, options, owner=instance.process_mark()), _reporter(), [Job(tuple(command))], report)


@expanded
def test_(
    env: Environment,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[TEST]...", show_default=False, help="Tests of the definition; all without it.")
    ] = None,
    *,
    options: Running,
    report: ReportDir = None,
) -> int:
    """Bring an environment up, run the definition's tests, tear it down; returns the first exit code that is not 0."""
    from envctl.lifecycle.run import jobs_of, narrowed

    wanted = request(env, options, owner=instance.process_mark())
    environment = open_selected(wanted)
    chosen = narrowed(wanted, environment, names or [])
    return run_jobs(chosen, _reporter(), jobs_of(environment, names or []), report)
