"""The labels of everything that belongs to an instance: by them it is found, and removed, without its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envctl.keeper.process_marks import INSTANCE_LABEL

if TYPE_CHECKING:
    from envctl.instance.record import Record

INSTANCE = INSTANCE_LABEL
"""The instance's id."""
NAME = "envctl.name"
PROJECT = "envctl.project"
OWNER = "envctl.owner"
"""The process whose end is the instance's end; empty where it outlives the command that brought it up."""
KEY = "envctl.key"
"""Whose it is, as `--key` or a CI system says; empty on a desk."""
ENVIRONMENT = "envctl.environment"
SERVICE = "envctl.service"
EXPIRES = "envctl.expires"
CREATED = "envctl.created"
ALIVE = "envctl.alive-until"
"""Until when the owner of a run is taken to live, where its keeper says so: a cluster's reaper cannot look at processes."""
WORKER = "envctl.worker"
"""Of the Secret that holds a record: whose command works on the instance, or was the last to."""
WORKING = "envctl.working-until"
"""Until when that is taken to go on, or how it has ended."""
UNFINISHED = "envctl.unfinished"
"""The command that made it has not said yet that everything is there."""
MADE = "envctl.made"
"""Of a namespace: a hash of the secret of the record with which it was made."""
HOLD = "envctl.hold"
"""An annotation by which people keep a namespace from the reaper, whatever its value is."""
ENGINE = "envctl.engine"
BUILD = "envctl.build"
"""The hash of what an image was built of."""
DATA = "envctl.data"
"""Of a volume: the id of the data in it, where it is older than the volume."""
IMAGE = "envctl.image"
"""Of a container that began as a snapshot: the image of its server, and that one's id."""
SNAPSHOT = "envctl.snapshot"
"""The key of data that is kept."""
SNAPSHOT_USER = "envctl.snapshot-of"
"""Whose it is: a hash of user and machine."""
RECORD = "envctl.record"
"""Of the Secret that holds an instance's record."""
FILES = "envctl.files"
"""A hash of the files that are put into a container."""
CONTENT = "envctl.content"
"""A hash of what a pod's files and passwords are."""
NETWORK = "envctl.network"
"""Whose rights in the network a pod has: those of a service's own pods, and of the jobs that run in its place."""
ONCE = "envctl.once"
"""Of what runs a single command, which is no service."""
FOR = "envctl.for"
"""The service that such a command is for."""


def labels_of(record: Record) -> dict[str, str]:
    """What everything of *record*'s instance carries."""
    return {
        NAME: record.name, INSTANCE: record.id, PROJECT: record.project, OWNER: record.owner, ENVIRONMENT: record.environment,
        KEY: record.key,
    }  # fmt: skip
