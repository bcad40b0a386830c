"""Load seed data into services.

Each format has one module with `load(step, seeder)`, which raises ServiceFailed. The module is imported when a step needs it. This package
also reads files in pieces for all formats.
"""

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
    """The address at which envctl reaches a service while it seeds the service, and the service's properties as the tests see them."""

    host: str
    port: int
    properties: Mapping[str, Any]


class Seeder(NamedTuple):
    """The data a format may use: the plan, the running deployment, and the environment and folder of commands on this machine."""

    plan: Plan
    deployment: Deployment
    environ: Mapping[str, str]
    folder: Path

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint of the main port of a service. envctl can use it even while tests must wait until the service is seeded."""
        service = self.plan.services[name]
        ports = self.deployment.probe_ports(service)
        port = ports.get(service.advertised) or ports[service.ports[0].name]
        return Endpoint(str(service.outside.get("host") or self.plan.setting.addresses.outside_host), port, service.outside)


def seed(step: Step, seeder: Seeder) -> None:
    """Run one step.

    Raises:
        ServiceFailed: The step failed; the error names the file and the line, and quotes the server's output.
    """
    import_module(f"envctl.seeding.{step.step.format}").load(step, seeder)


def program_of(step: Step, service: ServicePlan) -> ServicePlan:
    """Return *service* with the environment of a step's command; its addresses lead to the seeded services, not to those of a lane."""
    return service if step.env is None else replace(service, env=step.env)


SHOWN = 40


def failed(step: Step, where: str, output: str, status: int | None = None, said: str = "", advice: str = "") -> ServiceFailed:
    """Return the error for a failed step.

    Args:
        where: The place in the seed as file:line.
        said: The line of *output* that sums up the failure; by default the last line.
    """
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
    """Return the first line in which a server reports an error; the lines after it (DETAIL, CONTEXT) only explain that line."""
    return next((line for line in output.splitlines() if re.search(r"ERROR|FATAL|error:", line)), "")


PIECE = 1 << 18
BOM = b"\xef\xbb\xbf"


class BadFile(Exception):
    """A seed file that cannot be read or is malformed, in *line* or at *place* (as `file:line`).

    This is not an OSError: the code that feeds a command treats an OSError as the end of the command, and then a file that ends early would
    count as loaded.
    """

    def __init__(self, message: str, line: int | None = None, place: str = "") -> None:
        super().__init__(message)
        self.line, self.place = line, place

    def where(self, path: Path) -> str:
        return self.place or (str(path) if self.line is None else f"{path}:{self.line}")


def pieces(path: Path, root: Path) -> Iterator[bytes]:
    """Yield the unpacked bytes of *path*, which lies below *root*, in pieces.

    Raises:
        BadFile: The file cannot be read to its end.
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
    """Yield the unpacked bytes of *path* in pieces, without a UTF-8 byte order mark. Raise BadFile as `pieces` does."""
    begun = False
    for piece in pieces(path, root):
        yield piece if begun else piece.removeprefix(BOM)
        begun = True
