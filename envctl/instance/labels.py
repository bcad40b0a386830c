"""The labels of everything that belongs to an instance: by them it is found, and removed, without its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envctl.instance.record import Record

INSTANCE = "envctl.instance"
"""The instance's id."""
NAME = "envctl.name"
PROJECT = "envctl.project"
OWNER = "envctl.owner"
"""The process whose end is the instance's end; empty where it outlives the command that brought it up."""
ENVIRONMENT = "envctl.environment"
SERVICE = "envctl.service"
EXPIRES = "envctl.expires"
CREATED = "envctl.created"
ENGINE = "envctl.engine"
BUILD = "envctl.build"
"""The hash of what an image was built of."""
RECORD = "envctl.record"
"""Of the Secret that holds an instance's record."""
KEY = "envctl.key"


def labels_of(record: Record) -> dict[str, str]:
    """What everything of *record*'s instance carries."""
    return {
        NAME: record.name, INSTANCE: record.id, PROJECT: record.project, OWNER: record.owner, ENVIRONMENT: record.environment,
    }  # fmt: skip
