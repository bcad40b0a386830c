"""Run a program that fills the server: in the image of one of the team's own services, in the server, or on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from functools import partial

from envctl.engines import CommandResult, Execution
from envctl.engines.logs import PIECE, text
from envctl.keeper.process_marks import PROCESS, kill_marked
from envctl.plan.model import Step
from envctl.seeding import Seeder, failed, program_of

HOST = "seed on this machine"
"""The value of the variable that marks the processes of seed commands, in addition to the mark of their instance."""


def load(step: Step, seeder: Seeder) -> None:
    where = step.step.in_
    if where in (None, "host"):
        ran = _here(step, seeder)
    elif where in ("server", step.service):
        own = seeder.plan.services[step.service].shell_env  # the server's own client needs these variables to log in
        ran = seeder.deployment.execute(step.service, Execution(step.command, own))
    else:
        ran = seeder.deployment.run_command(program_of(step, seeder.plan.services[where]), step.command)
    if ran.status:
        raise failed(step, step.where, ran.output, ran.status)


def _here(step: Step, seeder: Seeder) -> CommandResult:
    try:
        process = subprocess.Popen(
            step.command,
            cwd=seeder.folder,
            env={**seeder.environ, **(step.env or {}), PROCESS: HOST},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return CommandResult(127, f"{step.command[0]}: {error.strerror}")
    assert process.stdout is not None
    with process.stdout as stream:
        output = text(iter(partial(stream.read, PIECE), b""))
    status = process.wait()
    with suppress(ProcessLookupError, PermissionError):  # the command's remaining child processes end with it
        os.killpg(process.pid, signal.SIGKILL)
    return CommandResult(status, output)


def end_all(id: str) -> None:
    """Kill all processes that seed commands of the instance *id* started on this machine, including their child processes."""
    kill_marked(id, process=HOST)
