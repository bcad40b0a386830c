"""SQL files (also .gz), streamed to the server's own client, which knows where a statement ends."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from envctl.engines import Execution
from envctl.plan.model import Step
from envctl.seeding import Seeder, failed

PIECE = 1 << 18
LINE = re.compile(r"<stdin>:(\d+):|at line (\d+)")
"""psql's and mariadb's way to say in which line."""


def load(step: Step, seeder: Seeder) -> None:
    assert step.feed is not None
    for path in step.files:
        ran = seeder.project.execute(step.service, Execution(step.feed.command, step.feed.env, pieces(path)))
        if ran.status:
            found = LINE.search(ran.output)
            where = f"{path}:{next(group for group in found.groups() if group)}" if found else str(path)
            raise failed(step, where, first_error(ran.output), ran.status)


def first_error(output: str) -> str:
    """From the first line that speaks of an error: what follows (DETAIL, CONTEXT) belongs to it."""
    lines = output.splitlines()
    first = next((index for index, line in enumerate(lines) if re.search(r"ERROR|FATAL|error:", line)), None)
    if first is None:
        return output
    return "\n".join([*lines[first + 1 : first + 8], lines[first]])


def pieces(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
        while piece := stream.read(PIECE):
            yield piece
