"""Run tests inside the network of an environment: in a container with the image, files and networks of a service."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from envctl.engines import CommandResult, open_engine
from envctl.environment import Environment
from envctl.errors import CommandMissing, EnvctlError, UsageError, did_you_mean
from envctl.lifecycle.bring_up import Run
from envctl.lifecycle.events import Events
from envctl.lifecycle.up import Up
from envctl.process import signals
from envctl.process.attached import Attached
from envctl.process.terminal import pass_on
from envctl.session import Session

POLL_SECONDS = 0.5
"""The seconds between two checks of the keeper."""
PATIENCE = 5.0
"""The seconds that a command has to end after a signal."""


def check_place(environment: Environment, service: str) -> None:
    """Check that *service* is brought up.

    Raises:
        UsageError: there is no such service, or another server replaces it (`--use`).
    """
    known = [name for name in environment.definition.services if name not in environment.used]
    if service not in known:
        raise UsageError(f"--in {service}: there is no such service", hint=did_you_mean(service, known))


def run_inside(session: Session, started: Up, service: str, command: Sequence[str], lost: Callable[[], bool] = lambda: False) -> int:
    """Run *command* like *service*, with the outputs as seen from there, print its output, and return its exit code.

    Args:
        lost: called regularly; returns whether the environment was lost, so that the command must stop.

    Raises:
        CommandMissing: the command cannot be started.
        EnvctlError: the environment was lost.
        KeyboardInterrupt: a signal has arrived; the command has received it and has ended.
    """
    plan = started.plan
    own = plan.services[service]
    own = replace(own, env={**own.env, **plan.outputs_in(service)})
    plan = replace(plan, services={**plan.services, service: own})
    run = Run(session, started.record, plan, Events([]), 0.0)
    deployment = run.deployment(open_engine(started.record.location, session.host), plan)
    attached = Attached(pass_on, partial(pass_on, error=True))
    result = _watched(lambda: deployment.run_command(own, command, attached), attached, lost)
    if result.output and result.status in (126, 127):
        raise CommandMissing(f"{command[0]} cannot be run in a container like that of {service}: {result.output.strip()}", result.status)
    return result.status


def _watched(function: Callable[[], CommandResult], attached: Attached, lost: Callable[[], bool]) -> CommandResult:
    """Run *function* in another thread, so that this one receives signals. An interrupted `join` would take the thread for ended."""
    ended: SimpleQueue[CommandResult | BaseException] = SimpleQueue()
    working = threading.Thread(target=lambda: ended.put(_outcome(function)), daemon=True)
    outcome: CommandResult | BaseException | None = None
    try:
        working.start()  # inside `try`: the command may already run, and be interrupted, before `start` returns
        while outcome is None:
            with suppress(Empty):
                outcome = ended.get(timeout=POLL_SECONDS)
            if outcome is None and lost():
                raise EnvctlError("the keeper of the instance has ended, so the command was stopped")
    except BaseException as error:
        _stop(ended, attached, signals.asked_by() if isinstance(error, KeyboardInterrupt) else signal.SIGTERM)
        raise
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _outcome(function: Callable[[], CommandResult]) -> CommandResult | BaseException:
    try:
        return function()
    except BaseException as error:
        return error


def _stop(ended: SimpleQueue[Any], attached: Attached, first: int) -> None:
    """Stop the command with increasing force."""
    with signals.shielded():
        for number in (first, signal.SIGTERM, signal.SIGKILL):
            with suppress(Exception):  # the engine may be gone, which is why the command is stopped
                attached.signal(number)
            with suppress(Empty):
                ended.get(timeout=PATIENCE)
                return
