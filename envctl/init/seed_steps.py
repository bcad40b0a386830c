"""Turn a project's migrations into seed steps of its database; there are none if the application creates its schema itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from envctl.init.env_example import SQL
from envctl.init.image_contents import Contents
from envctl.init.model import DIALECT, ROOT, URL, KeyValue, Migration, OneLine, ProjectFindings, path_from_environments
from envctl.init.servers import NeededServer
from envctl.init.test_frameworks import in_folder

_OF_DEVELOPERS = ("cargo", "dotnet", "go ", "mvn", "./", "flyway", "liquibase")
"""Beginnings of commands whose programs are not in the image of a service."""
Step = tuple[KeyValue, ...]
"""A seed step as a definition contains it."""
_MIGRATES = re.compile(r"migrat|pre-?start|alembic|flyway|liquibase|prisma|db:prepare|knex", re.IGNORECASE)


def seed_steps(
    findings: ProjectFindings, servers: dict[str, NeededServer], outputs: Iterable[KeyValue]
) -> tuple[str, list[Step], list[str]]:
    """Return the name of the database service, its seed steps, and notes about migrations that cannot be seed steps.

    The name is empty if the project has no SQL server of a kind. Tools that run on this machine read the database's address from one of
    *outputs*.
    """
    database = next((servers[kind] for kind in SQL if kind in servers and servers[kind].has_kind), None)
    if database is None:
        return "", [], []
    if by := _compose_migration(findings) or findings.migrates_itself:
        return database.name, [], [f"The schema is made by {by}, so no seed step makes it; data could be seeded here as well."]
    url = next((entry.key for entry in outputs if str(entry.value).startswith(f"${{{database.name}.url")), "DATABASE_URL")
    steps: list[Step] = []
    notes: list[str] = []
    for migration in findings.migrations:
        if migration.kind in ("", database.kind):
            made = list(_steps(migration._replace(kind=database.kind), findings, url))
            steps += made
            if not made:
                notes.append(f"{migration.file} is in the format of {migration.tool}: a `command:` with `in: host` could run it.")
    return database.name, steps, notes


def _compose_migration(findings: ProjectFindings) -> str:
    for service in findings.compose_services:
        if _MIGRATES.search(service.name) or _MIGRATES.search(service.command):
            return f"{service.name} ({findings.compose_file})"
    return ""


def _steps(migration: Migration, findings: ProjectFindings, url: str) -> Iterator[Step]:
    for path in migration.sql:
        yield (KeyValue("sql", path_from_environments(path), str(migration.file)),)
    if migration.command:
        inputs = OneLine(tuple(path_from_environments(PurePosixPath(pattern)) for pattern in migration.inputs))
        watched = [KeyValue("inputs", inputs, "what its result depends on")] if migration.inputs else []
        yield (*_command(migration, findings, url), *watched)


def _command(migration: Migration, findings: ProjectFindings, url: str) -> Step:
    """Return a step that runs the migration in the image of its service, if the tool is in the image; otherwise on this machine."""
    because = f"{migration.file}: {migration.tool}"
    service = _service_around(migration, findings)
    if service:
        return KeyValue("command", migration.command, because), KeyValue("in", service, "in its image, with its env")
    dialect = "mysql" if migration.kind == "mariadb" else "postgres"
    command = in_folder(migration.folder, migration.runner + migration.command.replace(URL, f'"${url}"').replace(DIALECT, dialect))
    return KeyValue("command", command, because), KeyValue("in", "host", "on this machine, with the outputs in its environment")


def _service_around(migration: Migration, findings: ProjectFindings) -> str:
    """Return the service whose image contains the migrations and is built from the nearest folder around them; empty if there is none."""
    built = [(each.context, each.name, each.contents) for each in findings.built_services]
    built += [(each.build_folder, each.name, each.contents) for each in findings.compose_services if each.build_folder is not None]
    around = [(len(context.parts), name) for context, name, contents in built if _has_tool(migration, context, contents)]
    return max(around, key=lambda found: found[0], default=(0, ""))[1]


def _has_tool(migration: Migration, context: PurePosixPath, contents: Contents) -> bool:
    if URL in migration.command or migration.command.startswith(_OF_DEVELOPERS) or not _is_below(migration.folder, context):
        return False
    if contents.without_dev_tools and migration.command.startswith(("npx", "npm")):
        return False
    return contents.has(migration.file.relative_to(context))


def _is_below(folder: PurePosixPath, context: PurePosixPath) -> bool:
    return context == ROOT or folder.is_relative_to(context)
