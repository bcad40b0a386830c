"""Seeding: one module a format, each with `load(step, seeder)`, imported when a step needs it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

from envctl.engines import Deployment
from envctl.errors import Evidence, ServiceFailed
from envctl.plan.model import Plan, Step


@dataclass(frozen=True)
class Seeder:
    """What a format may use: the instance, and the environment and folder of commands on this machine."""

    plan: Plan
    deployment: Deployment
    environ: Mapping[str, str]
    folder: Path


class Format(Protocol):
    def load(self, step: Step, seeder: Seeder) -> None: ...


def seed(step: Step, seeder: Seeder) -> None:
    """Runs one step.

    Raises:
        ServiceFailed: with the file, the line and the server's words.
    """
    loader: Format = import_module(f"envctl.seeding.{step.step.format}")
    loader.load(step, seeder)


ADVICE = "correct it and bring it up again; with --keep the data stays for a look (`envctl shell NAME SERVICE`)"
SHOWN = 40


def failed(step: Step, where: str, output: str, status: int | None = None, said: str = "") -> ServiceFailed:
    """The error of a step: *where* is the seed's file:line, *said* the line of *output* that sums it up, the last one if not given."""
    lines = [line for line in output.strip().splitlines() if line.strip()]
    said = said or (lines[-1] if lines else "it printed nothing")
    first = max(0, len(lines) - SHOWN)
    if said in lines:
        first = min(first, lines.index(said))
    evidence = Evidence(
        step.service,
        f"seed {step.number + 1} ({step.title}), {step.where}",
        exit_status=status,
        logs=tuple(lines[first : first + SHOWN]),
        advice=ADVICE,
    )
    return ServiceFailed(f"{step.service}: seed step {step.number + 1} failed at {where}: {said}", evidence)


def complaint(output: str) -> str:
    """The first line in which a server speaks of an error; what follows (DETAIL, CONTEXT) only explains it."""
    return next((line for line in output.splitlines() if re.search(r"ERROR|FATAL|error:", line)), "")
