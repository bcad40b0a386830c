"""The data types of `init`: findings in a project, the proposal made from them, and functions that make valid names."""

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
"""The project's folder. Every path in a finding is relative to it."""
MAX_NAME = 40
URL, DIALECT = "ENVCTL_URL_OF_DATABASE", "ENVCTL_DIALECT"
"""Used in a migration's command: the variable that holds the database's URL, and a placeholder for the tool's name of the SQL dialect."""


class Driver(NamedTuple):
    """A dependency of the project that is a client of one kind of server."""

    kind: str
    dependency: str
    file: PurePosixPath
    sure: bool = True


class ComposeService(NamedTuple):
    """A service in the project's Compose file."""

    name: str
    kind: str
    """The kind of the image. Without one, a kind with the same purpose (`USED_LIKE` in compose.py); otherwise empty."""
    recognised: bool
    """Whether envctl has a kind for the image."""
    build_folder: PurePosixPath | None
    ports: tuple[tuple[int, int], ...]
    """Pairs of the published port (0: not published) and the port inside the container."""
    command: str
    environment: Mapping[str, str]
    image: str = ""
    contents: Contents = Contents()


class SeenServer(NamedTuple):
    """A container that the project itself starts, for its tests or in a development container."""

    name: str
    image: str
    environment: Mapping[str, str]
    file: PurePosixPath


class KnownServer(NamedTuple):
    """A server that the project starts and whose kind is known from its image.

    `version`, `image` and `parameters` hold only what differs from the defaults of the kind.
    """

    seen: SeenServer
    kind: str
    version: str
    image: str
    parameters: Mapping[str, str]


class ExampleVariable(NamedTuple):
    """A variable that the project reads.

    `origin` is `example` (a file with example values), `ci` (CI sets it) or `code` (the value is the default in the code).
    """

    name: str
    value: str
    file: PurePosixPath
    origin: str = "example"


class BuiltService(NamedTuple):
    """A service whose image a Dockerfile of the project builds."""

    name: str
    context: PurePosixPath
    dockerfile: PurePosixPath
    port: int | None
    port_because: str = ""
    ready: str = ""
    """The HTTP path that answers when the service is ready."""
    ready_because: str = ""
    contents: Contents = Contents()


class Operation(NamedTuple):
    """One operation of an API and its response. `example` is a response body as JSON text."""

    method: str
    path: str
    status: int
    example: str


class OpenApiDocument(NamedTuple):
    """An OpenAPI document in the project."""

    file: PurePosixPath
    host: str
    """The host of the document's first server; empty if that server is this project."""
    base_path: str
    """The base path of the document's first server."""
    operations: tuple[Operation, ...]
    open_paths: tuple[str, ...]
    """Paths that a GET request reads without parameters and without authentication."""


class Recording(NamedTuple):
    """The responses of one third party, recorded while tests ran, as WireMock mappings."""

    host: str
    """The host name, with its port if the recording has one."""
    mappings: tuple[Mapping[str, Any], ...]


class Migration(NamedTuple):
    """How the database schema is created: by a command of the project, or from SQL files."""

    folder: PurePosixPath
    file: PurePosixPath
    tool: str
    command: str = ""
    inputs: tuple[str, ...] = ()
    """Globs relative to the project's root."""
    sql: tuple[PurePosixPath, ...] = ()
    kind: str = ""
    """The kind of database that the migration is for; empty if it works with every kind."""
    runner: str = ""
    """The prefix of the command on this machine (`uv run `). In an image, the programs are on the PATH already."""


class TestCommand(NamedTuple):
    """A command that runs tests of the project in *folder*. `reports` are globs of JUnit files, relative to the folder."""

    name: str
    command: str
    folder: PurePosixPath
    because: str
    reports: tuple[str, ...] = ()
    address: str = ""
    """The option, up to its value, that gives the tests the address of the system under test."""


@dataclass(frozen=True)
class ProjectFindings:
    """Everything that `gather` found in a project."""

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
    """What creates the schema when the application or its tests start; empty if nothing does."""
    recordings: tuple[Recording, ...] = ()
    known_servers: tuple[KnownServer, ...] = ()
    """Servers from CI configurations and development containers."""
    sqlite: str = ""
    """The place in the project which says that its database is a SQLite file; empty if there is no such place."""


Scalar = str | int | bool


class KeyValue(NamedTuple):
    """A key, its value, and the file that the value was derived from."""

    key: str
    value: Value
    because: str = ""


class OneLine(NamedTuple):
    """A small map or list that is written on one line."""

    value: Mapping[str, Scalar] | tuple[Scalar, ...]


class ListOfMaps(NamedTuple):
    """A YAML list whose items are maps."""

    items: tuple[tuple[KeyValue, ...], ...]


Value = Scalar | OneLine | ListOfMaps | tuple[KeyValue, ...]


class ProposedService(NamedTuple):
    """A service in a proposal; `body` contains its keys except `kind`."""

    name: str
    kind: str
    title: str
    because: str
    body: tuple[KeyValue, ...] = ()
    sure: bool = True
    """Whether the service is certainly needed. If not, `init` asks the user when it can."""


@dataclass(frozen=True)
class Proposal:
    """A complete environment before it is written as YAML. `files` maps the names of files beside the definition to their text."""

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
    """The place in the project which says that its data needs no server (SQLite); empty if there is no such place."""


def environment_name(text: str) -> str:
    """Return *text* as a valid name of an environment: letters, digits, `-` and `_`, at most MAX_NAME characters."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:MAX_NAME].rstrip("-_")
    return "app" if not name or name in RESERVED else name


def service_name(text: str, taken: Collection[str] = ()) -> str:
    """Return *text* as a valid name of a service, which is also a host name. If *taken* contains the name, append a number."""
    name = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")[: MAX_NAME - 3].rstrip("-") or "app"
    name = f"{name}-app" if name in RESERVED else name
    numbered = (name, *(f"{name}-{number}" for number in range(2, 1000)))
    return next(candidate for candidate in numbered if candidate not in taken)


def path_from_environments(path: PurePosixPath) -> str:
    """Return *path*, relative to the project's root, as a definition in `environments/` writes it."""
    return escape(".." if path == ROOT else f"../{path}")
