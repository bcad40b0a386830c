"""Tests that run inside an environment: a command in the place of a service, with its image, files and network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from envctl.engines import open_engine
from envctl.environment import Environment
from envctl.errors import UsageError, did_you_mean
from envctl.lifecycle.bring_up import Run
from envctl.lifecycle.events import Events
from envctl.lifecycle.up import Up
from envctl.process.terminal import give
from envctl.session import Session


def check_place(environment: Environment, service: str) -> None:
    """Raises UsageError where no such service is brought up."""
    known = [name for name in environment.definition.services if name not in environment.used]
    if service not in known:
        raise UsageError(f"--in {service}: there is no such service", hint=did_you_mean(service, known))


def run_inside(session: Session, started: Up, service: str, command: Sequence[str]) -> int:
    """The exit status of *command*, which runs like *service*, with the outputs as they are seen from there; what it prints is printed."""
    plan = started.plan
    own = plan.services[service]
    own = replace(own, env={**own.env, **plan.outputs_in(service)})
    plan = replace(plan, services={**plan.services, service: own})
    run = Run(session, started.record, plan, Events([]), 0.0)
    result = run.deployment(open_engine(started.record.location, session.host), plan).run_command(own, command)
    give(result.output if result.output.endswith("\n") or not result.output else result.output + "\n")
    return result.status
