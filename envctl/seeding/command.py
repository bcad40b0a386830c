"""A program that fills the server: in the image of a service of the team's own, in the server, or on this machine."""

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
"""The name that its processes carry beside the mark of their instance."""


def load(step: Step, seeder: Seeder) -> None:
    where = step.step.in_
    if where in (None, "host"):
        ran = _here(step, seeder)
    elif where in ("server", step.service):
        own = seeder.plan.services[step.service].shell_env  # what the server's own client needs to log in
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
    with suppress(ProcessLookupError, PermissionError):  # what it has left behind ends with it
        os.killpg(process.pid, signal.SIGKILL)
    return CommandResult(status, output)


def end_all(id: str) -> None:
    """Kills what runs on this machine for the seeds of the instance *id*, with all that it has started."""
    kill_marked(id, process=HOST)
