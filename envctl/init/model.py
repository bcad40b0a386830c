"""What was found in a project, what is proposed because of it, and the names that a definition takes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from envctl.definition.expressions import escape
from envctl.definition.models import RESERVED
from envctl.init.image_contents import Contents

ROOT = PurePosixPath(".")
"""The project's folder; every path of a finding is relative to it."""
MAX_NAME = 40
URL, DIALECT = "ENVCTL_URL_OF_DATABASE", "ENVCTL_DIALECT"
"""In a migration's command: the variable that holds the database's URL, and what the tool calls its dialect."""


class Driver(NamedTuple):
    """A dependency of the project that speaks to a kind of server."""

    kind: str
    dependency: str
    file: PurePosixPath
    sure: bool = True


class ComposeService(NamedTuple):
    name: str
    kind: str
    """The kind of its image, else the kind that it is used like, else empty."""
    recognised: bool
    """Whether envctl has a kind for its image."""
    build_folder: PurePosixPath | None
    ports: tuple[tuple[int, int], ...]
    """Published (0: not at all) and inside."""
    command: str
    environment: Mapping[str, str]
    image: str = ""
    contents: Contents = Contents()


class SeenServer(NamedTuple):
    """A container that the project itself starts for its tests or its developers."""

    name: str
    image: str
    environment: Mapping[str, str]
    file: PurePosixPath


class KnownServer(NamedTuple):
    """A seen server whose image is known; `version`, `image` and `parameters` are what it has other than its kind's own."""

    seen: SeenServer
    kind: str
    version: str
    image: str
    parameters: Mapping[str, str]


class ExampleVariable(NamedTuple):
    """A variable that the project reads. `origin` is `example`, `ci` (which sets it), or `code` (its value is the default there)."""

    name: str
    value: str
    file: PurePosixPath
    origin: str = "example"


class BuiltService(NamedTuple):
    name: str
    context: PurePosixPath
    dockerfile: PurePosixPath
    port: int | None
    port_because: str = ""
    ready: str = ""
    """The path that answers when it is ready."""
    ready_because: str = ""
    contents: Contents = Contents()


class Operation(NamedTuple):
    """What an API answers to a request: `example` is a body as JSON text."""

    method: str
    path: str
    status: int
    example: str


class OpenApiDocument(NamedTuple):
    file: PurePosixPath
    host: str
    """Of the first server; empty where it is this project."""
    base_path: str
    """Of the first server."""
    operations: tuple[Operation, ...]
    open_paths: tuple[str, ...]
    """Those that GET reads without parameters and authentication."""


class Recording(NamedTuple):
    """What a third party answered while tests were recorded, as WireMock mappings."""

    host: str
    """With its port, where it has one."""
    mappings: tuple[Mapping[str, Any], ...]


class Migration(NamedTuple):
    """How the schema is made: a command of the project, or SQL files."""

    folder: PurePosixPath
    file: PurePosixPath
    tool: str
    command: str = ""
    inputs: tuple[str, ...] = ()
    """Globs, seen from the project's root."""
    sql: tuple[PurePosixPath, ...] = ()
    kind: str = ""
    """The kind of database that it is for; empty where it is for any."""
    runner: str = ""
    """What stands before the command on this machine (`uv run `); an image has its programs on its path."""


class TestCommand(NamedTuple):
    name: str
    command: str
    folder: PurePosixPath
    because: str
    reports: tuple[str, ...] = ()
    address: str = ""
    """The option that tells it the address of the system under test, up to the address."""


@dataclass(frozen=True)
class ProjectFindings:
    name: str
    compose_file: PurePosixPath | None = None
    compose_override: PurePosixPath | None = None
    compose_services: tuple[ComposeService, ...] = ()
    drivers: tuple[Driver, ...] = ()
    dependencies: frozenset[str] = frozenset()
    variables: tuple[ExampleVariable, ...] = ()
    built_services: tuple[BuiltService, ...] = ()
    openapi_documents: tuple[OpenApiDocument, ...] = ()
    migrations: tuple[Migration, ...] = ()
    test_commands: tuple[TestCommand, ...] = ()
    migrates_itself: str = ""
    """What makes the schema when the application, or its tests, start; empty where nothing does."""
    recordings: tuple[Recording, ...] = ()
    known_servers: tuple[KnownServer, ...] = ()
    """Of CI and of development containers."""
    sqlite: str = ""
    """Where it says that its database is a file of SQLite."""


Scalar = str | int | bool


class KeyValue(NamedTuple):
    """A key with its value, and the file that it was concluded from."""

    key: str
    value: Value
    because: str = ""


class OneLine(NamedTuple):
    """A small map or list that stands on one line."""

    value: Mapping[str, Scalar] | tuple[Scalar, ...]


class ListOfMaps(NamedTuple):
    items: tuple[tuple[KeyValue, ...], ...]


Value = Scalar | OneLine | ListOfMaps | tuple[KeyValue, ...]


class ProposedService(NamedTuple):
    name: str
    kind: str
    title: str
    because: str
    body: tuple[KeyValue, ...] = ()
    sure: bool = True
    """Otherwise init asks, where it can."""


@dataclass(frozen=True)
class Proposal:
    """A whole environment, not yet text; `files` lie beside it."""

    name: str
    compose_file: PurePosixPath | None = None
    compose_override: PurePosixPath | None = None
    variables: tuple[KeyValue, ...] = ()
    services: tuple[ProposedService, ...] = ()
    outputs: tuple[KeyValue, ...] = ()
    tests: tuple[KeyValue, ...] = ()
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    sqlite: str = ""
    """Where the project says that it needs no server for its data."""


def environment_name(text: str) -> str:
    """*text* as the name of an environment: letters, digits, - and _."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:MAX_NAME].rstrip("-_")
    return "app" if not name or name in RESERVED else name


def service_name(text: str, taken: Collection[str] = ()) -> str:
    """*text* as the name of a service, which is a host name as well; with a number where it is taken."""
    name = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")[: MAX_NAME - 3].rstrip("-") or "app"
    name = f"{name}-app" if name in RESERVED else name
    numbered = (name, *(f"{name}-{number}" for number in range(2, 1000)))
    return next(candidate for candidate in numbered if candidate not in taken)


def path_from_environments(path: PurePosixPath) -> str:
    """A path of the project as a definition in `environments/` writes it."""
    return escape(".." if path == ROOT else f"../{path}")
