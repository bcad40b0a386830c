"""Seeding: one module a format, each with `load(step, seeder)`, imported when a step needs it; and files as pieces, for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from envctl.definition.source import displayed
from envctl.engines import Deployment
from envctl.errors import Evidence, ServiceFailed
from envctl.files.folders import FileRefused
from envctl.files.packed import open_unpacked
from envctl.plan.model import Plan, ServicePlan, Step
from envctl.seeding.advice import advice_for


class Endpoint(NamedTuple):
    """Where a service is reached from here while it is seeded, and its properties as the tests see them."""

    host: str
    port: int
    properties: Mapping[str, Any]


class Seeder(NamedTuple):
    """What a format may use: the instance, and the environment and folder of commands on this machine."""

    plan: Plan
    deployment: Deployment
    environ: Mapping[str, str]
    folder: Path

    def endpoint(self, name: str) -> Endpoint:
        """That of the main port of a service: open to us even where the tests must wait until it is seeded."""
        service = self.plan.services[name]
        ports = self.deployment.probe_ports(service)
        port = ports.get(service.advertised) or ports[service.ports[0].name]
        return Endpoint(str(service.outside.get("host") or self.plan.setting.addresses.outside_host), port, service.outside)


def seed(step: Step, seeder: Seeder) -> None:
    """Runs one step.

    Raises:
        ServiceFailed: with the file, the line and the server's words.
    """
    import_module(f"envctl.seeding.{step.step.format}").load(step, seeder)


def program_of(step: Step, service: ServicePlan) -> ServicePlan:
    """*service* as a step's command runs in it: with the addresses of what is seeded, though it may itself be a lane's."""
    return service if step.env is None else replace(service, env=step.env)


SHOWN = 40


def failed(step: Step, where: str, output: str, status: int | None = None, said: str = "", advice: str = "") -> ServiceFailed:
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
        advice=advice or advice_for(output),
    )
    place = displayed(Path(where)) if where.startswith("/") else where
    return ServiceFailed(f"{step.service}: seed step {step.number + 1} failed at {place}: {said}", evidence)


def complaint(output: str) -> str:
    """The first line in which a server speaks of an error; what follows (DETAIL, CONTEXT) only explains it."""
    return next((line for line in output.splitlines() if re.search(r"ERROR|FATAL|error:", line)), "")


PIECE = 1 << 18
BOM = b"\xef\xbb\xbf"


class BadFile(Exception):
    """It cannot be read, or what it holds is malformed, in *line*, or at a *place* that is known as `file:line`.

    No OSError: whoever feeds a command takes that for the command's end, and a file that ends early would count as loaded.
    """

    def __init__(self, message: str, line: int | None = None, place: str = "") -> None:
        super().__init__(message)
        self.line, self.place = line, place

    def where(self, path: Path) -> str:
        return self.place or (str(path) if self.line is None else f"{path}:{self.line}")


def pieces(path: Path, root: Path) -> Iterator[bytes]:
    """The bytes of *path*, which lies below *root*, unpacked.

    Raises:
        BadFile: it cannot be read to its end.
    """
    try:
        with open_unpacked(path, root) as stream:
            while piece := stream.read(PIECE):
                yield piece
    except FileRefused as error:
        raise BadFile(f"it is not read: {error}") from None
    except OSError as error:
        raise BadFile(f"it cannot be read: {error.strerror or error}") from None


def texts(path: Path, root: Path) -> Iterator[bytes]:
    """The same without the mark that some editors put before UTF-8."""
    begun = False
    for piece in pieces(path, root):
        yield piece if begun else piece.removeprefix(BOM)
        begun = True
