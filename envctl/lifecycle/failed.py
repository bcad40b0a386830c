"""Clean up after a failed `up`: remove everything, or keep it with `--keep`. An instance that was up before is never removed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from envctl.engines import Engine, SharedByMachines
from envctl.errors import DefinitionError, EnvctlError, Interrupted, OutOfTime, ServiceFailed, UsageError
from envctl.files.folders import FileRefused
from envctl.inspect.last_run import keep_last_run
from envctl.inspect.lookup import called
from envctl.inspect.report import write_report
from envctl.instance.record import InstanceState
from envctl.instance.store import RecordGone, UnreadableRecord
from envctl.lifecycle.adoption import forget
from envctl.lifecycle.bring_up import Run
from envctl.lifecycle.down import tear_down
from envctl.lifecycle.machines import StillWorkedOn
from envctl.lifecycle.options import UpOptions
from envctl.process.signals import shielded

LAST_CREATE = 20.0
"""The seconds to wait for an engine to answer requests that were sent before an interrupt."""


def ended(run: Run, engine: Engine, options: UpOptions, before: InstanceState, existed: bool, error: BaseException) -> BaseException:
    """Clean up after *error*, and return the error to show to the user, with a hint where to look.

    Args:
        before: the state of the instance before this command.
        existed: the instance was available to its users before; `Record.was_up` is no substitute, as it is also true for a new one.
    """
    with shielded():
        told = _told(run, error, existed)
        if isinstance(told, EnvctlError):
            told.record = run.record
            if options.report:
                with suppress(OSError, FileRefused):  # while logs and states can still be read
                    write_report(run.session, run.record, run.session.cwd / options.report)
        kept = options.keep and isinstance(told, EnvctlError) and not isinstance(told, Interrupted)
        if not (existed or kept):
            if isinstance(told, ServiceFailed) and told.evidence is not None and keep_last_run(run.session, run.record):
                _point_to_logs(run, told, told.evidence.service)
            return _torn_down(run, engine, told)
        return _left(run, told, before)


def _told(run: Run, error: BaseException, existed: bool) -> BaseException:
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted; what was up before is still up" if existed else "interrupted; everything is gone")
    if run.record.expired and isinstance(error, EnvctlError) and not isinstance(error, OutOfTime | Interrupted):
        return EnvctlError("its lifetime ended while it was being brought up", hint="set a longer one with `--ttl` or `ttl:`")
    return error


def _point_to_logs(run: Run, error: EnvctlError, service: str) -> None:
    """Add a hint that the logs can be read even after the instance has been removed."""
    look = f"`envctl logs {called(run.session, run.record)} {service}` shows all of its log; --keep leaves the instance up after a failure"
    error.hint = f"{error.hint}\n{look}".strip()


def _torn_down(run: Run, engine: Engine, error: BaseException) -> BaseException:
    run.in_flight.settle(LAST_CREATE)
    if not run.in_flight.created and isinstance(engine, SharedByMachines):
        forget(run.session, run.record.id)  # another machine created the objects under this id
        return error
    # A failed service need not stop gracefully to write its coverage.
    left = tear_down(run.session, engine, replace(run.record, stop={}))
    if left and isinstance(error, EnvctlError):
        error.message = error.message.replace("; everything is gone", "")
        error.hint = f"{error.hint}\n  left behind: {', '.join(left)}".strip()
    return error


def _left(run: Run, error: BaseException, before: InstanceState) -> BaseException:
    """Set the state of an instance that stays: unchanged if only the request was wrong, else failed."""
    untouched = isinstance(error, UsageError | DefinitionError | StillWorkedOn | UnreadableRecord)
    state = before if untouched and before is not InstanceState.STARTING else InstanceState.FAILED
    with suppress(RecordGone, UnreadableRecord, OSError):
        run.update(lambda record: replace(record, state=state, process="", error=str(error) if state is InstanceState.FAILED else ""))
    run.session.keepers.release(run.record.id)
    if state is InstanceState.FAILED:
        name = called(run.session, run.record)
        run.events.say(f"{run.record.name} is left as it is: `envctl logs {name}` shows why, `envctl down {name}` removes it")
    return error
