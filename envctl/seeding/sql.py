"""SQL files (also .gz), streamed to the server's own client, which knows where a statement ends."""

from __future__ import annotations

import re
from pathlib import Path

from envctl.engines import Execution
from envctl.plan.model import Step
from envctl.seeding import BadFile, Seeder, complaint, failed, pieces
from envctl.seeding.transactions import ASKED, LEFT_OPEN, MYSQL, opened_at, with_question

LINE = re.compile(r"<stdin>:(\d+):|at line (\d+)")
"""psql's and mariadb's way to say in which line."""


def load(step: Step, seeder: Seeder) -> None:
    assert step.feed is not None
    root = seeder.plan.setting.project
    for path in step.files:
        try:
            content = pieces(path, root)
            content = with_question(content) if step.feed.dialect == MYSQL else content
            ran = seeder.deployment.execute(step.service, Execution(step.feed.command, step.feed.env, content))
        except BadFile as error:
            raise failed(step, str(path), str(error)) from None
        if ran.status:
            where, said = complained(path, ran.output, root)
            raise failed(step, where, ran.output, ran.status, said)


def complained(path: Path, output: str, root: Path) -> tuple[str, str]:
    """`file:line` of what a client complains about in *path*, the file alone where it names no line; and its words."""
    said = complaint(output)
    if ASKED.search(said):
        return opened_at(path, root), LEFT_OPEN
    found = LINE.search(output)
    return f"{path}:{next(filter(None, found.groups()))}" if found else str(path), said
