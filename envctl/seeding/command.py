"""A program that fills the server: in the image of a service of the team's own, in the server, or on this machine."""

from __future__ import annotations

import subprocess

from envctl.engines import CommandResult, Execution
from envctl.plan.model import Step
from envctl.seeding import Seeder, failed


def load(step: Step, seeder: Seeder) -> None:
    where = step.step.in_
    if where in (None, "host"):
        ran = _here(step, seeder)
    elif where in ("server", step.service):
        own = seeder.plan.services[step.service].shell_env  # what the server's own client needs to log in
        ran = seeder.deployment.execute(step.service, Execution(step.command, own))
    else:
        ran = seeder.deployment.run_command(seeder.plan.services[where], step.command)
    if ran.status:
        raise failed(step, step.where, ran.output, ran.status)


def _here(step: Step, seeder: Seeder) -> CommandResult:
    try:
        done = subprocess.run(
            step.command,
            cwd=seeder.folder,
            env=dict(seeder.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:
        return CommandResult(127, f"{step.command[0]}: {error.strerror}")
    return CommandResult(done.returncode, done.stdout.decode(errors="replace"))
