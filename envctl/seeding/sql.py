"""SQL files (also .gz), streamed to the server's own client, which knows where a statement ends."""

from __future__ import annotations

import re

from envctl.engines import Execution
from envctl.plan.model import Step
from envctl.seeding import BadFile, Seeder, complaint, failed, pieces

LINE = re.compile(r"<stdin>:(\d+):|at line (\d+)")
"""psql's and mariadb's way to say in which line."""


def load(step: Step, seeder: Seeder) -> None:
    assert step.feed is not None
    for path in step.files:
        try:
            content = pieces(path, seeder.plan.setting.project)
            ran = seeder.deployment.execute(step.service, Execution(step.feed.command, step.feed.env, content))
        except BadFile as error:
            raise failed(step, str(path), str(error)) from None
        if ran.status:
            found = LINE.search(ran.output)
            where = f"{path}:{next(group for group in found.groups() if group)}" if found else str(path)
            raise failed(step, where, ran.output, ran.status, complaint(ran.output))
