"""`run` and `test`: bring up, run commands with the outputs as environment variables, and remove in any case."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from envctl.engines import open_engine
from envctl.environment import Environment
from envctl.errors import CommandMissing, EnvctlError, Interrupted, UsageError, did_you_mean
from envctl.files.folders import FileRefused
from envctl.files.reading import open_file
from envctl.files.writing import always, root_of, write_file
from envctl.inspect.last_run import forget_last_run, keep_last_run
from envctl.inspect.lookup import called
from envctl.inspect.report import write_report
from envctl.instance.identity import instance_id
from envctl.instance.lock import lock
from envctl.instance.machine import process_mark
from envctl.instance.record import Record
from envctl.keeper import process_marks
from envctl.lifecycle.after_red_tests import Aftermath
from envctl.lifecycle.data_watch import WATCH, Leavings
from envctl.lifecycle.down import tear_down
from envctl.lifecycle.events import Listener
from envctl.lifecycle.file_watching import watched
from envctl.lifecycle.heartbeat import keep_for_a_look
from envctl.lifecycle.options import UpOptions
from envctl.lifecycle.planning import open_selected
from envctl.lifecycle.run_in_service import check_place, run_inside
from envctl.lifecycle.up import Up, up
from envctl.outputs import process_variables
from envctl.outputs.worker_lane import access_variables
from envctl.plan.transforms import apply
from envctl.process.signals import shielded
from envctl.process.terminal import tell
from envctl.session import Session

LANES_FILE = "lanes.json"
OURS = 125
"""The exit code for a failure of envctl itself."""


class Job(NamedTuple):
    """A command to run; for a test of the definition, also its name, its folder and the reports that it writes."""

    command: tuple[str, ...] = ()
    test: str | None = None
    reports: tuple[str, ...] = ()
    folder: Path | None = None
    inside: str | None = None
    """The service in whose place the command runs; None means on this machine."""
    passed_on: tuple[str, ...] = ()


def run(session: Session, options: UpOptions, command: Sequence[str], listeners: Sequence[Listener] = (), inside: str | None = None) -> int:
    """Run *command* with the outputs as environment variables, and return its exit code.

    Args:
        inside: the service in whose place the command runs, with the service's image and network.

    Raises:
        CommandMissing: the command cannot be started; in this case nothing was started.
        EnvctlError: envctl failed.
        Interrupted: a signal stopped envctl.
    """
    environment = None
    if inside is None:
        check_program(command[0], session.environ.get("PATH", os.defpath), session.cwd)
    else:
        environment = open_selected(session, options)
        check_place(environment, inside)
    return _run_jobs(session, options, [Job(tuple(command), inside=inside)], listeners, environment)


def check_program(program: str, path: str, folder: Path) -> None:
    """Check that *program* exists and is executable.

    Raises:
        CommandMissing: *program* does not exist, or is not executable.
    """
    place = str(folder / program) if os.sep in program else program
    if shutil.which(place, path=with_ourselves(path)) is None:
        there = os.path.exists(place) if os.sep in program else shutil.which(place, os.F_OK, path) is not None
        raise CommandMissing(f"{program} cannot be run: {'no permission' if there else 'there is no such program'}", 126 if there else 127)


def test(
    session: Session,
    options: UpOptions,
    names: Sequence[str] = (),
    listeners: Sequence[Listener] = (),
    passed_on: Sequence[str] = (),
    *,
    watch: bool = False,
    leavings: Leavings | None = None,
) -> int:
    """Run the definition's tests *names* (default: all), and return the first exit code that is not 0.

    Args:
        passed_on: further arguments of the test.
        watch: run the tests again whenever a file of the project changes, until a signal stops envctl.
        leavings: watches what the tests leave behind in the data.

    Raises:
        UsageError: there is no such test, no test, or several tests for *passed_on*; or watchfiles is not installed.
        EnvctlError: envctl failed.
        Interrupted: a signal stopped envctl.
    """
    if options.untrusted:
        hint = f"`envctl run {options.environment} --untrusted -- COMMAND` runs a command of yours"
        raise UsageError("the commands of `tests:` run on this machine, and --untrusted refuses them", hint=hint)
    environment = open_selected(session, replace(options, lanes=0))
    jobs = [job._replace(passed_on=tuple(passed_on)) for job in jobs_of(environment, names)]
    if passed_on and len(jobs) > 1:
        raise UsageError(
            f"arguments after `--` are for one test, but the number of tests to run is {len(jobs)}",
            hint="name one: " + ", ".join(names or [str(job.test) for job in jobs]),
        )
    changes = watched(environment) if watch else None
    for job in jobs:
        program = _program(environment.definition.tests[job.test or ""].run)
        if program:
            check_program(program, session.environ.get("PATH", os.defpath), environment.loaded.folder)
    narrowed = _narrowed(session, options, environment, [job.test or "" for job in jobs])
    if narrowed is not options or options.lanes:
        environment = apply(environment, narrowed.selection)
    return _run_jobs(session, narrowed, jobs, listeners, environment, changes, leavings)


def jobs_of(environment: Environment, names: Sequence[str]) -> list[Job]:
    """Return the definition's tests *names* (default: all) as jobs.

    Raises:
        UsageError: the definition has no tests, or none of that name.
    """
    tests = environment.definition.tests
    if not tests:
        raise UsageError(
            f"{environment.definition.name} has no `tests:`", hint=f"`envctl run {environment.definition.name} -- COMMAND` runs any command"
        )
    for name in names:
        if name not in tests:
            raise UsageError(f"there is no test '{name}'", hint=did_you_mean(name, list(tests)))
    return [Job(test=name, reports=tuple(tests[name].reports), folder=environment.loaded.folder) for name in names or tests]


def _narrowed(session: Session, options: UpOptions, environment: Environment, names: Sequence[str]) -> UpOptions:
    """Return *options* with the services that the tests need, if every test names them; an instance that is up keeps all its services."""
    chosen = [environment.definition.tests[name] for name in names]
    if options.only or not all(test.only for test in chosen) or _is_up(session, options, environment):
        return options
    return replace(options, only=tuple(dict.fromkeys(name for test in chosen for name in test.only)))


def _is_up(session: Session, options: UpOptions, environment: Environment) -> bool:
    project = environment.loaded.project
    id = instance_id(options.name or environment.definition.name, project, options.key_of(session, project))
    found = session.store.load(id)
    return found is not None and found.was_up and not options.fresh


def _run_jobs(
    session: Session,
    options: UpOptions,
    jobs: Sequence[Job],
    listeners: Sequence[Listener],
    environment: Environment | None,
    changes: Callable[[], str] | None = None,
    leavings: Leavings | None = None,
) -> int:
    """Bring up, run *jobs* and return the exit code. Afterwards the environment is removed, unless it was up before.

    Args:
        changes: waits until the jobs should run again, and returns why.
    """
    status, owner = OURS, process_mark()
    started: Up | None = None
    interrupted = False
    try:
        started = up(session, options, listeners, owner=owner, environment=environment)
        status = _told(session, started, jobs, leavings)
        while changes is not None:
            tell(f"envctl: {changes()}: running again")
            status = _told(session, started, jobs, leavings)
        if options.report:
            _report(session, started, jobs, session.cwd / options.report, failed=bool(status))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        with shielded():
            end = _end(session, owner, keep=options.keep and status != 0, red=started is not None and status != 0)
        if end.left and not interrupted:
            raise EnvctlError(f"left behind: {', '.join(end.left)}", hint="`envctl gc` tries again")
    if interrupted:
        raise _interrupted(session, started, end)
    if started is not None:
        tell(f"envctl: {_fate(session, started.record, end)}")
    return status


def _fate(session: Session, record: Record, end: _End) -> str:
    if record.name in end.removed:
        return f"{record.name} is gone"
    name = called(session, record)
    return f"{record.name} is kept; `envctl down {name}` removes it" if end.kept else f"{record.name} stays up, as it was before"


def _told(session: Session, started: Up, jobs: Sequence[Job], leavings: Leavings | None) -> int:
    """Run the jobs and return their exit code; if it is not 0, print what happened to the environment."""
    after = Aftermath(session, started.record)
    if leavings:
        leavings.begin(session, started.record)
    status = _run_all(session, started, jobs, leavings)
    if leavings:
        leavings.end(session, started.record, status)
    if status:
        tell(*after.lines("tests" if jobs[0].test else jobs[0].command[0], status))
    return status


class _End(NamedTuple):
    """What was done with the instances that were brought up for a command: their names, and what could not be removed."""

    kept: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def _interrupted(session: Session, started: Up | None, end: _End) -> Interrupted:
    """Return the error for an interrupt, with what was actually done at the end."""
    if end.left:
        return Interrupted("interrupted", hint=f"left behind: {', '.join(end.left)}; `envctl gc` tries again")
    if end.kept and started is not None:
        return Interrupted(f"interrupted; {end.kept[0]} is kept", hint=f"`envctl down {called(session, started.record)}` removes it")
    if end.removed or (started is not None and started.record.owner):
        return Interrupted("interrupted; everything is gone")
    return Interrupted("interrupted; nothing was started" if started is None else "interrupted; what was up before is still up")


def _end(session: Session, owner: str, keep: bool, red: bool) -> _End:
    """Keep or remove what was brought up for *owner*; an instance that was up before has no owner. Incomplete instances are removed."""
    owned = [record for record in session.store.all() if record.owner == owner]
    kept = [record for record in owned if keep and not record.half_done]
    for record in kept:
        session.keepers.release(record.id)
        keep_for_a_look(session, record)
    others = [record for record in owned if record not in kept]
    for record in others:
        if red:
            keep_last_run(session, record)
        else:
            forget_last_run(session, record.id)
    left = [thing for record in others for thing in _removed(session, record)]
    return _End(tuple(record.name for record in kept), tuple(record.name for record in others), tuple(left))


def _removed(session: Session, record: Record) -> list[str]:
    with lock(session.store.folder(record.id)):
        return tear_down(session, open_engine(record.location, session.host), record)


def _run_all(session: Session, started: Up, jobs: Sequence[Job], leavings: Leavings | None) -> int:
    record, environ = started.record, session.environ
    variables = {**environ, **record.outputs, **process_variables(record), **access_variables(session.store.folder(record.id))}
    variables |= {"PATH": with_ourselves(environ.get("PATH", os.defpath)), **_lanes_file(session, record)}
    variables |= {WATCH: "1"} if leavings else {}
    worst = 0

    def lost() -> bool:
        return session.keepers.lost(record)

    for job in jobs:
        command = job.command or started.plan.tests[job.test or ""].run
        if job.inside is not None:
            return run_inside(session, started, job.inside, command, lost)
        stdout = leavings.stdout if leavings else None
        status = run_command((*command, *job.passed_on), marked(variables, record.id), job.folder or session.cwd, lost, stdout)
        if len(jobs) > 1:
            tell(f"envctl: {job.test}: exit {status}")
        worst = worst or status
    return worst


def _lanes_file(session: Session, record: Record) -> dict[str, str]:
    """Write the outputs of all lanes to a JSON file, a list of objects from lane 1, and return the variable that names the file."""
    if not record.lanes:
        return {}
    folder = session.store.folder(record.id)
    text = json.dumps([dict(lane.outputs) for lane in record.lanes], ensure_ascii=False)
    write_file(folder / LANES_FILE, text, folder, ours=always, mode=0o600)
    return {"ENVCTL_LANES_FILE": str(folder / LANES_FILE)}


def _report(session: Session, started: Up, jobs: Sequence[Job], folder: Path, failed: bool) -> None:
    """Write the report; an error is printed and does not change the exit code of the commands."""
    try:
        if failed:
            write_report(session, started.record, folder)
        if _collect(jobs, session.cwd, folder, started.plan.setting.project) or failed:
            tell(f"envctl: the report is in {folder}")
    except (FileRefused, ValueError, NotImplementedError) as error:
        tell(f"envctl: the report is not complete: {error}")
    except OSError as error:
        tell(f"envctl: the report in {folder} cannot be written: {error.strerror}")


def _collect(jobs: Sequence[Job], cwd: Path, report: Path, project: Path) -> int:
    """Copy the reports that tests wrote to the report's folder, and return their number.

    Raises:
        FileRefused: a report is not a regular file of the project, or would be written outside of the folder.
    """
    count = 0
    for job in jobs:
        for pattern in job.reports:
            for path in sorted((job.folder or cwd).glob(pattern)):
                if path.is_dir():
                    continue
                with open_file(path, project) as content:
                    target = report / "tests" / (job.test or "run") / path.name
                    write_file(target, content, root_of(report, project), ours=always)
                    count += 1
    return count


COMMAND = "#command"
"""The value that marks the command and its children in process marks."""
POLL_SECONDS = 0.5
"""The seconds between two checks of the keeper."""


def run_command(
    command: Sequence[str], environ: Mapping[str, str], folder: Path, lost: Callable[[], bool] = lambda: False, stdout: int | None = None
) -> int:
    """Run *command* and return its exit code, or 128 + n if signal n ended it.

    Args:
        lost: called regularly; returns whether the environment was lost, so that the command must stop.
        stdout: the descriptor that receives the command's stdout; None: it is inherited.

    Raises:
        CommandMissing: the command does not exist.
        UsageError: the command cannot be started.
        EnvctlError: the environment was lost.
    """
    try:
        process = subprocess.Popen(command, env=environ, cwd=folder, close_fds=True, stdout=stdout)
    except FileNotFoundError:
        raise CommandMissing(f"{command[0]} cannot be run: there is no such program, or its interpreter is missing", 127) from None
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be started: {error.strerror}") from None
    try:
        status = _ended(process, environ, lost)
    except KeyboardInterrupt:
        _stop(process, environ)
        raise
    return status if status >= 0 else 128 - status


def _program(run: str | Sequence[str]) -> str:
    """Return the program of a test if it can be checked before anything is up; empty for paths (builds may create them) and expressions."""
    try:
        words = shlex.split(run) if isinstance(run, str) else list(run)
    except ValueError:
        return ""
    first = words[0] if words else ""
    return "" if "/" in first or "${" in first else first


def marked(environ: Mapping[str, str], id: str) -> dict[str, str]:
    """Return *environ* with the mark by which the keeper finds the command and its children if this process is killed."""
    return {**environ, process_marks.MARK: id, process_marks.PROCESS: COMMAND}


def with_ourselves(path: str) -> str:
    """Return PATH for tests that call `envctl restart`: envctl is found even if its virtual environment is not active."""
    return path if shutil.which("envctl", path=path) else os.pathsep.join([path, str(Path(sys.executable).parent)])


def _ended(process: subprocess.Popen[bytes], environ: Mapping[str, str], lost: Callable[[], bool]) -> int:
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(POLL_SECONDS)
        if lost():
            _stop(process, environ)
            raise EnvctlError("the keeper of the instance has ended, so the command was stopped")


def _stop(process: subprocess.Popen[bytes], environ: Mapping[str, str]) -> None:
    """Stop the command with increasing force, then kill what it has left behind. On a terminal, Ctrl-C has already reached it."""
    with shielded():
        for number, patience in ((None, 2.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            if number is not None:
                process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                break
        process_marks.kill_marked(environ[process_marks.MARK], process=COMMAND)
