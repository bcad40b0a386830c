"""The labels of everything that belongs to an instance. Without a record, the labels are enough to find and remove it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envctl.keeper.process_marks import INSTANCE_LABEL

if TYPE_CHECKING:
    from envctl.instance.record import Record

INSTANCE = INSTANCE_LABEL
"""The id of the instance."""
NAME = "envctl.name"
PROJECT = "envctl.project"
OWNER = "envctl.owner"
"""The mark of the process whose end also ends the instance; empty if the instance outlives the command that created it."""
KEY = "envctl.key"
"""The key that `--key` or a CI system gives to the instance; empty otherwise."""
ENVIRONMENT = "envctl.environment"
SERVICE = "envctl.service"
EXPIRES = "envctl.expires"
CREATED = "envctl.created"
ALIVE = "envctl.alive-until"
"""The time until which the owner of a `run` counts as alive, as its keeper has written: a cluster's reaper cannot look at processes."""
WORKER = "envctl.worker"
"""On the Secret that holds a record: the command that is working on the instance, or was the last one."""
WORKING = "envctl.working-until"
"""The time until which the command in `WORKER` counts as working, or how it has ended."""
UNFINISHED = "envctl.unfinished"
"""On what an unfinished command created: the command has not yet recorded that everything exists."""
MADE = "envctl.made"
"""On a namespace: a hash of the secret of the record for which the namespace was created."""
HOLD = "envctl.hold"
"""An annotation by which people protect a namespace from the reaper, whatever its value."""
ENGINE = "envctl.engine"
BUILD = "envctl.build"
"""A hash of everything that an image was built from."""
DATA = "envctl.data"
"""On a volume: the id of the data in the volume, where the data is older than the volume."""
IMAGE = "envctl.image"
"""On a container that was created from a snapshot: the name and the id of the server's original image."""
SNAPSHOT = "envctl.snapshot"
"""The key of a snapshot."""
SNAPSHOT_USER = "envctl.snapshot-of"
"""A hash of the user and the machine that own a snapshot."""
RECORD = "envctl.record"
"""On a Secret that holds the record of an instance."""
FILES = "envctl.files"
"""A hash of the files that are copied into a container."""
CONTENT = "envctl.content"
"""A hash of a pod's files and passwords."""
NETWORK = "envctl.network"
"""On a pod: the service whose network rules apply to it. Pods of a service have it, and so have jobs that run in place of the service."""
ONCE = "envctl.once"
"""On objects that run a single command and are not a service."""
FOR = "envctl.for"
"""The service for which such a command runs."""


def labels_of(record: Record) -> dict[str, str]:
    """Return the labels that every object of *record*'s instance has."""
    return {
        NAME: record.name, INSTANCE: record.id, PROJECT: record.project, OWNER: record.owner, ENVIRONMENT: record.environment,
        KEY: record.key,
    }  # fmt: skip
