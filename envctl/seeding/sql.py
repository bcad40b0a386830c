"""Stream SQL files (also .gz) to the server's own client, which knows where a statement ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from envctl.engines import Execution
from envctl.plan.model import Step
from envctl.seeding import BadFile, Seeder, complaint, failed, pieces
from envctl.seeding.reconnects import OPEN, PSQL, reconnects_until, with_questions
from envctl.seeding.transactions import ASKED, LEFT_OPEN, MYSQL, opened_at, with_question

LINE = re.compile(r"<stdin>:(\d+):|at line (\d+)")
"""The line number in an error message of psql or of mariadb."""


def load(step: Step, seeder: Seeder) -> None:
    assert step.feed is not None
    root = seeder.plan.setting.project
    for path in step.files:
        try:
            content = _asked(step.feed.dialect, path, root)
            ran = seeder.deployment.execute(step.service, Execution(step.feed.command, step.feed.env, content))
        except BadFile as error:
            raise failed(step, str(path), str(error)) from None
        if ran.status:
            where, said = complained(path, ran.output, root)
            raise failed(step, where, ran.output, ran.status, said)


def _asked(dialect: str, path: Path, root: Path) -> Iterator[bytes]:
    """Return the file's content with added checks for open transactions.

    Without the checks, the server would discard the changes of such a transaction without a message.
    """
    content = pieces(path, root)
    if dialect == PSQL and (until := reconnects_until(pieces(path, root))):
        return with_questions(content, until)
    return with_question(content) if dialect == MYSQL else content


def complained(path: Path, output: str, root: Path) -> tuple[str, str]:
    """Return the `file:line` in *path* that a client's error names (only the file if it names no line), and the error message."""
    said = complaint(output)
    if ASKED.search(said):
        return opened_at(path, root), LEFT_OPEN
    said = OPEN if OPEN in said else said
    found = LINE.search(output)
    return f"{path}:{next(filter(None, found.groups()))}" if found else str(path), said
