"""Send messages to a broker.

Each protocol has one module with `send(step, seeder, messages)`, which uses the same endpoint as the tests.
"""

from __future__ import annotations

from importlib import import_module

from envctl.definition.seed_entries import MESSAGES
from envctl.plan.model import Step
from envctl.seeding import BadFile, Seeder, failed
from envctl.seeding.entries import checked
from envctl.seeding.item_files import items


def load(step: Step, seeder: Seeder) -> None:
    assert step.feed is not None
    dialect = step.feed.dialect
    found = checked(items(step, seeder.plan.setting.project, spread=False), MESSAGES[dialect])
    try:
        import_module(f"envctl.seeding.messages.{dialect}").send(step, seeder, found)
    except BadFile as error:
        raise failed(step, error.where(step.files[0]) if step.files else step.where, str(error)) from None
