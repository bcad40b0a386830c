"""What was found in a project, and what is proposed because of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

Name = PurePosixPath
ROOT = Name(".")


@dataclass(frozen=True)
class Driver:
    """A dependency of the project that speaks to a kind of server."""

    kind: str
    dependency: str
    file: Name
    sure: bool = True


@dataclass(frozen=True)
class Composed:
    """A service that a Compose file has already."""

    name: str
    kind: str
    """The recognised kind, else what it stands in for (`like`), else empty."""
    recognised: bool
    built: Name | None
    """The build folder."""
    ports: tuple[tuple[int, int], ...]
    """Published (0: none) and inside."""
    command: str
    text: str


@dataclass(frozen=True)
class Variable:
    """A line of `.env.example`."""

    name: str
    value: str
    file: Name


@dataclass(frozen=True)
class Program:
    """A service of the project's own that a Dockerfile builds."""

    name: str
    context: Name
    dockerfile: Name
    port: int | None
    port_because: str = ""
    ready: str = ""
    ready_because: str = ""


@dataclass(frozen=True)
class Api:
    """An OpenAPI document."""

    file: Name
    host: str
    """Of the first server; empty where it is this project."""
    base: str
    """The path of the first server."""
    operations: tuple[tuple[str, str, int, str], ...]
    """Method, path, status, example body as JSON text."""
    plain: tuple[str, ...]
    """GET paths that need no parameters and no authentication."""


@dataclass(frozen=True)
class Migration:
    """How the schema is made: a command of the project, or SQL files."""

    folder: Name
    file: Name
    tool: str
    command: str = ""
    inputs: tuple[str, ...] = ()
    """Globs, seen from the project's root."""
    sql: tuple[Name, ...] = ()
    kind: str = ""


@dataclass(frozen=True)
class Runner:
    """How the project's tests are started."""

    name: str
    command: str
    folder: Name
    because: str
    reports: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProjectFindings:
    """Everything that a project shows."""

    name: str
    compose: Name | None = None
    composed: tuple[Composed, ...] = ()
    drivers: tuple[Driver, ...] = ()
    dependencies: frozenset[str] = frozenset()
    variables: tuple[Variable, ...] = ()
    programs: tuple[Program, ...] = ()
    apis: tuple[Api, ...] = ()
    migrations: tuple[Migration, ...] = ()
    runners: tuple[Runner, ...] = ()


Scalar = str | int | bool


@dataclass(frozen=True)
class Entry:
    """A key with its value, and the file that it was concluded from."""

    key: str
    value: Value
    because: str = ""


@dataclass(frozen=True)
class Flow:
    """A small map or list that stands on one line."""

    value: Mapping[str, Scalar] | tuple[Scalar, ...]


@dataclass(frozen=True)
class Steps:
    """A list of maps."""

    items: tuple[tuple[Entry, ...], ...]


Value = Scalar | Flow | Steps | tuple[Entry, ...]


@dataclass(frozen=True)
class Proposed:
    """A service of the proposal."""

    name: str
    kind: str
    title: str
    because: str
    body: tuple[Entry, ...] = ()
    sure: bool = True
    """Otherwise init asks, where it can."""


@dataclass(frozen=True)
class Proposal:
    """A whole environment, not yet text; `files` lie beside it."""

    name: str
    compose: Name | None = None
    variables: tuple[Entry, ...] = ()
    services: tuple[Proposed, ...] = ()
    outputs: tuple[Entry, ...] = ()
    tests: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
