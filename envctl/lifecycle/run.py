"""`run` and `test`: up, the commands with the outputs in their environment, down, whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from envctl.engines import open_engine
from envctl.environment import Environment
from envctl.errors import EnvctlError, Interrupted, UsageError, did_you_mean
from envctl.inspect.report import write_report
from envctl.instance import Record, lock, records
from envctl.keeper import marks
from envctl.keeper_client import keepers
from envctl.lifecycle.down import tear_down
from envctl.lifecycle.request import Reporter, UpOptions
from envctl.lifecycle.up import up
from envctl.plan.transforms.options import Selection
from envctl.process.signals import shielded

OURS = 125
"""The exit status of a failure of ours."""
COMMAND = "#command"
"""The name in its mark."""
POLL_SECONDS = 0.5
"""Seconds between two looks at the keeper."""


@dataclass(frozen=True)
class Job:
    """A command, and for a test of the definition its name, its folder and the reports it writes."""

    command: tuple[str, ...] = ()
    test: str | None = None
    reports: tuple[str, ...] = ()
    folder: Path | None = None


def jobs_of(environment: Environment, names: Sequence[str]) -> list[Job]:
    """The definition's tests of those names, all without names.

    Raises:
        UsageError: there is no such test, or none at all.
    """
    tests = environment.definition.tests
    if not tests:
        raise UsageError(f"{environment.definition.name} has no `tests:`", hint="`envctl run ENV -- CMD` runs any command")
    for name in names:
        if name not in tests:
            raise UsageError(f"there is no test '{name}'", hint=did_you_mean(name, list(tests)))
    return [Job(test=name, reports=tuple(tests[name].reports), folder=environment.loaded.folder) for name in names or tests]


def narrowed(request: UpOptions, environment: Environment, names: Sequence[str]) -> UpOptions:
    """When every chosen test says which services it needs, only those are brought up."""
    chosen = [environment.definition.tests[name] for name in names or environment.definition.tests if name in environment.definition.tests]
    if request.selection.only or not chosen or not all(test.only for test in chosen):
        return request
    only = tuple(dict.fromkeys(name for test in chosen for name in test.only))
    return replace(request, selection=Selection(only, request.selection.stub, request.selection.use, request.selection.image))


def run_jobs(request: UpOptions, reporter: Reporter, jobs: Sequence[Job], report: str | None) -> int:
    """The first exit status that is not 0; the environment is gone when this returns, unless it was up before.

    Raises:
        EnvctlError: a failure of ours.
        Interrupted: somebody asked us to stop.
    """
    status = OURS
    try:
        record = up(replace(request, report=report), reporter)
        status = _run_all(record, jobs, request)
        if status and report:
            write_report(record, Path(report))
        _collect(jobs, report)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; everything is gone") from None
    finally:
        with shielded():
            if request.keep and status != 0:
                _keep_owned(request.owner)
            else:
                _remove_owned(request.owner)
    return status


def _owned(owner: str) -> list[Record]:
    """An instance that was up before has no owner."""
    return [record for record in records() if record.owner == owner]


def _keep_owned(owner: str) -> None:
    for record in _owned(owner):
        keepers.release(record.id)


def _remove_owned(owner: str) -> None:
    left = [thing for record in _owned(owner) for thing in _removed(record)]
    if left:
        raise EnvctlError(f"left behind: {', '.join(left)}", hint="`envctl gc` tries again")


def _removed(record: Record) -> list[str]:
    with lock(record.id):
        return tear_down(open_engine(*record.location), record)


def _run_all(record: Record, jobs: Sequence[Job], request: UpOptions) -> int:
    # By the mark the keeper finds the command and what it has started, should we be killed.
    environ = {**os.environ, **record.outputs, **record.process_variables, "PATH": _path_with_ourselves()}
    environ |= {marks.MARK: record.id, marks.PROCESS: COMMAND}
    worst = 0
    for job in jobs:
        command = job.command or _test_command(record, job, request)
        status = run_command(command, environ, job.folder, lambda: keepers.lost(record))
        if len(jobs) > 1:
            print(f"envctl: {job.test}: exit {status}", file=sys.stderr)
        worst = worst or status
    return worst


def _path_with_ourselves() -> str:
    """Tests may call `envctl restart`: it is found though its virtual environment is not active."""
    path = os.environ.get("PATH", os.defpath)
    return path if shutil.which("envctl") else os.pathsep.join([path, str(Path(sys.executable).parent)])


def _test_command(record: Record, job: Job, request: UpOptions) -> tuple[str, ...]:
    from envctl.lifecycle.replan import plan_of

    assert job.test is not None
    return plan_of(record).tests[job.test].run


def run_command(command: Sequence[str], environ: Mapping[str, str], folder: Path | None, lost: Callable[[], bool] = lambda: False) -> int:
    """Its exit status, 128 + n when signal n ended it; *lost* is asked now and then whether it makes sense to go on.

    Raises:
        UsageError: it cannot be started.
        EnvctlError: the environment was lost.
    """
    try:
        process = subprocess.Popen(command, env=environ, cwd=folder, close_fds=True)
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be started: {error.strerror}") from None
    try:
        status = _ended(process, environ, lost)
    except KeyboardInterrupt:
        _stop(process, environ)
        raise
    return status if status >= 0 else 128 - status


def _ended(process: subprocess.Popen[bytes], environ: Mapping[str, str], lost: Callable[[], bool]) -> int:
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(POLL_SECONDS)
        if lost():
            _stop(process, environ)
            raise EnvctlError("the keeper of the environment has ended, so nothing holds it any more; the command was stopped")


def _stop(process: subprocess.Popen[bytes], environ: Mapping[str, str]) -> None:
    """Politely, then firmly, then for certain; then what it has left behind. (On a terminal Ctrl-C has reached it already.)"""
    with shielded():
        for number, patience in ((None, 2.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            if number is not None:
                process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                break
        marks.kill_marked(environ[marks.MARK], process=COMMAND)


def _collect(jobs: Sequence[Job], report: str | None) -> None:
    """The reports that tests wrote, in the report's folder."""
    for job in jobs if report else ():
        for pattern in job.reports:
            for path in sorted((job.folder or Path.cwd()).glob(pattern)):
                target = Path(report or "", "tests", job.test or "run", path.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
