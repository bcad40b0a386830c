"""The record of an instance: typed, versioned, and changed only by its store."""

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
    """The state of an instance as a whole; after a killed command, it tells the next one what to do."""

    STARTING = "starting"
    """It is brought up for the first time; whoever finds it so after that command's end removes it."""
    UP = "up"
    CHANGING = "changing"
    """It was up, and a command works on it."""
    FAILED = "failed"
    """It is left for a look."""
    REMOVING = "removing"


class Location(NamedTuple):
    """Where an instance is: its engine, the daemon or cluster, and a part of it that others use too."""

    engine: str
    context: str | None = None
    namespace: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """Where a test process reaches a port."""

    host: str | None
    port: int
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ServiceRecord:
    """What later commands must know of a service without reading the definition."""

    kind: str
    state: str = "pending"
    ready_ms: int | None = None
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    """By the name of the port."""
    ends: bool = False
    """Its end with 0 is no failure."""
    shell: tuple[str, ...] = ()
    shell_env: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None
    data: bool = False
    """It has data that a reset brings back, or seeds."""
    unseeded: bool = False
    """It is a server whose data only a reset by its name makes anew: nobody knows what others have made in it by themselves."""
    unit: Unit | None = None
    lane: int = 0
    """The one whose own it is; 0 where it is shared, or where there are none."""
    written: str = ""
    """Its name in the definition, where a lane's own has another one."""
    public_url: str = ""
    """For browsers, where it is exposed."""
    public_fault: str = ""
    """Why that had not answered when it was asked last."""
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DataRecord:
    """What has been done to the data of a service; it counts for that data only."""

    data_id: str
    steps: tuple[str, ...] = ()
    """The hashes of the seed steps that have succeeded, in order."""
    set_up: bool = False
    units: tuple[str, ...] = ()
    """What was made of it after these steps: templates, and the units of lanes."""
    first: str = ""
    """A hash of the scripts of the first start that made it; empty where there are none, or where nobody knows."""
    made: str = ""
    """Likewise of what was set up in it."""
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SnapshotRecord:
    """The snapshot from which the data of a service started.

    Attributes:
        ref: what it is called at the engine; `content` is the hash of what it is.
        steps: the hashes of the seed steps in it.
        units: what was made of it after these steps.
        entrypoint, command: of the server's own image, for an engine that cannot ask for them.
        folder: where the server has a copy of it; empty where it runs from the snapshot itself.
    """

    key: str
    ref: str
    content: str
    steps: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    folder: str = ""
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LaneRecord:
    """What one parallel test worker has."""

    number: int
    outputs: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Choices:
    """What the command line of `up` changed in the definition, so that later commands plan the same."""

    set: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    stub: tuple[str, ...] = ()
    use: Mapping[str, str] = field(default_factory=dict)
    image: Mapping[str, str] = field(default_factory=dict)
    lanes: int = 0
    port: Mapping[str, int] = field(default_factory=dict)
    local: tuple[str, ...] = ()
    """Services that are processes of this machine though the engine is another one."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Prefixes of image names to what stands in their place."""
    kubernetes: Mapping[str, Any] = field(default_factory=dict)
    docker: Mapping[str, Any] = field(default_factory=dict)
    """Both: the tables of envctl.toml."""
    registry: str | None = None
    """Where images that are built here are pushed."""
    image_names: bool = False
    """They have the names that the definition gives."""
    untrusted: bool = False
    """It may do nothing to this machine."""
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """One instance; written before anything is created, removed when everything is gone.

    Attributes:
        file: the definition.
        secret: what its passwords are drawn from, in hexadecimal digits.
        owner: the mark of the process whose end is its end; empty where it outlives the command that brought it up.
        key: whose it is, where that is neither folder, user and machine: a job of CI, or what `--key` says.
        process: the mark of the command that works on it now.
        keeper: the mark of its keeper.
        secrets: values that must never be printed.
        stop: seconds that services may take to end on SIGTERM; the keeper reads it too.
        snapshots: service to what its data began as.
        write: file of the project to the format of the outputs in it.
        written: hashes of what has been put into those files.
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
        return Location(self.engine, self.context, self.namespace)

    @property
    def was_up(self) -> bool:
        """Whether it is there for its users: also when a command that changed it failed, or was killed."""
        return self.state in (InstanceState.UP, InstanceState.FAILED, InstanceState.CHANGING)

    @property
    def half_done(self) -> bool:
        """Whether nobody can use it: it is not yet all there, or not any more."""
        return self.state in (InstanceState.STARTING, InstanceState.REMOVING)

    @property
    def expired(self) -> bool:
        return self.expires is not None and self.expires <= now()


STAMP = "%Y-%m-%dT%H:%M:%SZ"


def stamp(seconds: float) -> str:
    """*seconds* since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime(STAMP)


def now(after: float = 0.0) -> str:
    """*after* seconds from now."""
    return stamp(time.time() + after)
