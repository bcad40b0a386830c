"""The record of an instance: typed, versioned, and changed only through its store."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from envctl.instance.allocation import Allocation
from envctl.instance.units import Unit

VERSION = 1


class InstanceState(StrEnum):
    """The state of an instance as a whole; if a command was killed, the state tells the next command what to do."""

    STARTING = "starting"
    """A command is creating the instance for the first time. If that command has ended, the next command removes the instance."""
    UP = "up"
    CHANGING = "changing"
    """A command is changing an instance that was up."""
    FAILED = "failed"
    """A command failed and has left the instance for inspection."""
    REMOVING = "removing"


class Location(NamedTuple):
    """The place of an instance: its engine, the Docker context or cluster, and the Kubernetes namespace."""

    engine: str
    context: str | None = None
    namespace: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """The address at which a test process reaches a port."""

    host: str | None
    port: int
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ServiceRecord:
    """The facts about a service that later commands need without reading the definition."""

    kind: str
    state: str = "pending"
    ready_ms: int | None = None
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    """Port name to endpoint."""
    ends: bool = False
    """An exit with code 0 is not a failure (a job)."""
    shell: tuple[str, ...] = ()
    shell_env: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None
    data: bool = False
    """The service has data that a reset restores, or seeds."""
    unseeded: bool = False
    """The service stores data but has no seeds: only a reset that names it removes the data, since other services may have added data."""
    unit: Unit | None = None
    lane: int = 0
    """The lane that the service belongs to; 0 if it is shared, or if there are no lanes."""
    written: str = ""
    """The service's name in the definition, if the service is a lane's copy with another name."""
    public_url: str = ""
    """The URL for browsers, if the service is exposed."""
    public_fault: str = ""
    """The reason why the public URL did not answer at the last attempt; empty if it did."""
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DataRecord:
    """What has been done to the data of a service; the record is valid only for the data with the id `data_id`."""

    data_id: str
    steps: tuple[str, ...] = ()
    """The hashes of the seed steps that have succeeded, in order."""
    set_up: bool = False
    units: tuple[str, ...] = ()
    """The names of what was created from the data after these steps: templates, and the units of lanes."""
    first: str = ""
    """A hash of the scripts that created the data at the first start; empty if there are none, or if they are unknown."""
    made: str = ""
    """A hash of what was declared and created in the data (databases, users); empty if there is nothing, or if it is unknown."""
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SnapshotRecord:
    """The snapshot from which the data of a service started.

    Attributes:
        key: the hash of everything that made the data.
        ref: the engine's name for the snapshot.
        content: a hash of the content of the snapshot.
        steps: the hashes of the seed steps that the snapshot contains.
        units: the names of what was created from the data after these steps.
        entrypoint, command: those of the server's original image, for engines that cannot look them up.
        folder: the folder with the server's copy of the data; empty if the server runs from the snapshot itself.
        place, volume: the folder of the data in the snapshot, and the volume to which it moves before its container is recreated; empty
            on engines where data does not move, and for a copy.
    """

    key: str
    ref: str
    content: str
    steps: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    folder: str = ""
    place: str = ""
    volume: str = ""
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LaneRecord:
    """The outputs for one lane."""

    number: int
    outputs: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Choices:
    """The changes to the definition on the command line of `up`, kept so that later commands plan the same."""

    set: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    stub: tuple[str, ...] = ()
    use: Mapping[str, str] = field(default_factory=dict)
    image: Mapping[str, str] = field(default_factory=dict)
    lanes: int = 0
    port: Mapping[str, int] = field(default_factory=dict)
    local: tuple[str, ...] = ()
    """Services that run as processes of this machine although the instance uses another engine."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Prefixes of image names to their replacements."""
    kubernetes: Mapping[str, Any] = field(default_factory=dict)
    docker: Mapping[str, Any] = field(default_factory=dict)
    """`kubernetes` and `docker` are the tables of these names in envctl.toml."""
    registry: str | None = None
    """The registry to which images built here are pushed."""
    image_names: bool = False
    """Built images get the names that the definition gives them."""
    untrusted: bool = False
    """The definition is untrusted: it may not touch this machine."""
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """An instance. The record is written before anything is created, and removed after everything is removed.

    Attributes:
        file: the path of the definition.
        secret: the hexadecimal digits from which the instance's passwords are derived.
        owner: the mark of the process whose end also ends the instance; empty if the instance outlives the command that created it.
        key: the key of a CI job or of `--key`; empty if the folder, user and machine identify the owner.
        process: the mark of the command that is working on the instance.
        keeper: the mark of the instance's keeper.
        secrets: values that must never be printed.
        stop: service to the seconds it may take to end on SIGTERM; the keeper reads this, too.
        snapshots: service to the snapshot from which its data started.
        write: file of the project to the format of the outputs in it.
        written: hashes of the contents that were written to those files.
    """

    name: str
    id: str
    environment: str
    engine: str
    project: str
    file: str
    created: str
    secret: str
    version: int = VERSION
    context: str | None = None
    namespace: str | None = None
    owner: str = ""
    key: str = ""
    state: InstanceState = InstanceState.STARTING
    expires: str | None = None
    process: str = ""
    keeper: str = ""
    choices: Choices = field(default_factory=Choices)
    allocation: Allocation = field(default_factory=Allocation)
    services: Mapping[str, ServiceRecord] = field(default_factory=dict)
    data: Mapping[str, DataRecord] = field(default_factory=dict)
    snapshots: Mapping[str, SnapshotRecord] = field(default_factory=dict)
    lanes: tuple[LaneRecord, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    stop: Mapping[str, float] = field(default_factory=dict)
    write: Mapping[str, str] = field(default_factory=dict)
    written: tuple[str, ...] = ()
    timings_ms: Mapping[str, int] = field(default_factory=dict)
    error: str = ""
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def location(self) -> Location:
        """The place of the instance."""
        return Location(self.engine, self.context, self.namespace)

    @property
    def was_up(self) -> bool:
        """Whether the instance is available to its users, even if a command that changed it failed or was killed."""
        return self.state in (InstanceState.UP, InstanceState.FAILED, InstanceState.CHANGING)

    @property
    def half_done(self) -> bool:
        """Whether the instance is unusable, because it is not completely created yet or is being removed."""
        return self.state in (InstanceState.STARTING, InstanceState.REMOVING)

    @property
    def expired(self) -> bool:
        """Whether the lifetime of the instance is over."""
        return self.expires is not None and self.expires <= now()


STAMP = "%Y-%m-%dT%H:%M:%SZ"


def stamp(seconds: float) -> str:
    """Return the time *seconds* after 1970-01-01 UTC as text."""
    return datetime.fromtimestamp(seconds, UTC).strftime(STAMP)


def now(after: float = 0.0) -> str:
    """Return the time *after* seconds from now as text."""
    return stamp(time.time() + after)
