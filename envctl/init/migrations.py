"""Migrations: what makes the schema, and the seed steps that it becomes. A tool that a file gives away is an entry of TOOLS."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import groupby
from pathlib import PurePosixPath
from typing import NamedTuple

from envctl.init.env_example import SQL
from envctl.init.model import ROOT, KeyValue, Migration, OneLine, ProjectFindings, path_from_environments
from envctl.init.project_files import ProjectFiles, as_map
from envctl.init.servers import NeededServer
from envctl.init.test_frameworks import in_folder

MAX_SQL = 200
MAX_INPUTS = 12
Step = tuple[KeyValue, ...]
"""A seed step as a definition has it."""


class MigrationTool(NamedTuple):
    name: str
    files: tuple[str, ...]
    command: str
    inputs: tuple[str, ...]
    """The ends of the paths of what its result depends on."""
    content: str = ""
    """What one of the files must hold."""


TOOLS = (
    MigrationTool("alembic", ("alembic.ini",), "alembic upgrade head", ("alembic.ini", "versions/*.py")),
    MigrationTool("django", ("manage.py",), "python manage.py migrate --noinput", ("migrations/*.py",), "django"),
    MigrationTool("knex", ("knexfile.js", "knexfile.ts", "knexfile.cjs", "knexfile.mjs"), "npx knex migrate:latest", ("migrations/*",)),
    MigrationTool("sequelize", (".sequelizerc",), "npx sequelize-cli db:migrate", ("migrations/*",)),
    MigrationTool("drizzle", ("drizzle.config.ts", "drizzle.config.js"), "npx drizzle-kit migrate", ("drizzle/*.sql",)),
    MigrationTool("laravel", ("artisan",), "php artisan migrate --force", ("database/migrations/*",)),
)
AT_START = ("flyway", "liquibase")
"""Tools that an application's framework runs when it starts."""
SCRIPTS = ("db:migrate", "migrate", "migrate:latest", "migrate:up", "migration:run", "migrations:run")
_FLYWAY = re.compile(r"V([\d._]+)__\w.*\.sql")
_SCHEMA_FILES = ("schema.sql", "init.sql", "structure.sql")
_MIGRATES = re.compile(r"migrat|alembic|flyway|liquibase|prisma|db:prepare|knex", re.IGNORECASE)
_SQL_FOLDERS = ("migrations", "migration")
_TWO_WAYS = re.compile(r"^--\s*(\+goose|migrate:|\+migrate)", re.MULTILINE)
"""goose, dbmate, sql-migrate: the way back stands in the same file."""


def migrations(project: ProjectFiles, dependencies: Collection[str]) -> list[Migration]:
    """How the schema of the project is made, one way for each folder; tools win over the SQL files that they read."""
    found = [*_tools(project), *_rails(project), *_prisma(project)]
    found += [script for script in _scripts(project) if not any(_same(script.folder, other.folder) for other in found)]
    sql = [] if _run_at_start(dependencies) else [*_flyway(project), *_sql(project)]
    return found + [step for step in sql if not any(_same(step.folder, other.folder) for other in found)]


def _run_at_start(dependencies: Collection[str]) -> str:
    """The tool that migrates when the application starts; empty where there is none."""
    return next((word for word in AT_START if any(word in name for name in dependencies)), "")


def _same(folder: PurePosixPath, other: PurePosixPath) -> bool:
    return folder.is_relative_to(other) or other.is_relative_to(folder)


def _tools(project: ProjectFiles) -> Iterator[Migration]:
    for tool in TOOLS:
        for path in project.named(*tool.files)[:5]:
            if tool.content in project.text(path):
                yield Migration(path.parent, path, tool.name, tool.command, _globs(project, path.parent, tool.inputs))


def _rails(project: ProjectFiles) -> Iterator[Migration]:
    for path in project.named("rails"):
        if path.parent.name == "bin":
            folder = path.parent.parent
            yield Migration(folder, path, "rails", "bin/rails db:prepare", _globs(project, folder, ("db/*.rb", "db/migrate/*.rb")))


def _prisma(project: ProjectFiles) -> Iterator[Migration]:
    for path in project.named("schema.prisma")[:5]:
        provider = re.search(r'provider\s*=\s*"(postgresql|mysql|cockroachdb)"', project.text(path))
        if provider is None:
            continue
        folder = path.parent.parent if path.parent.name == "prisma" else path.parent
        has_migrations = project.has(path.parent / "migrations")
        command = "npx prisma migrate deploy" if has_migrations else "npx prisma db push --skip-generate"
        inputs = _globs(project, path.parent, ("schema.prisma", "migrations/*/*.sql"))
        yield Migration(folder, path, "prisma", command, inputs, kind="mariadb" if provider[1] == "mysql" else "postgres")


def _scripts(project: ProjectFiles) -> Iterator[Migration]:
    for path in project.named("package.json")[:20]:
        scripts = as_map(project.tree(path).get("scripts"))
        name = next((name for name in SCRIPTS if name in scripts), None)
        if name:
            inputs = _globs(project, path.parent, ("migrations/*",))
            yield Migration(path.parent, path, f"the script {name}", f"npm run {name}", inputs)


def _globs(project: ProjectFiles, folder: PurePosixPath, ends: Collection[str]) -> tuple[str, ...]:
    """The files below *folder* that end like one of *ends*, as one glob for each folder that has some."""
    found: dict[str, None] = {}
    for path in project.below(folder):
        for end in ends:
            if path.match(end):
                parent = "/".join([*path.parts[: len(path.parts) - end.count("/") - 1], *end.split("/")[:-1]])
                found[str(PurePosixPath(parent, end.rpartition("/")[2]))] = None
    return tuple(found)[:MAX_INPUTS]


def _flyway(project: ProjectFiles) -> Iterator[Migration]:
    named = [path for path in project.named("V*__*.sql") if _FLYWAY.fullmatch(path.name)]
    for folder, group in groupby(sorted(named, key=lambda path: path.parent), key=lambda path: path.parent):
        files = sorted(group, key=lambda path: [int(part) for part in re.findall(r"\d+", _FLYWAY.sub(r"\1", path.name))])
        yield Migration(folder, folder, "flyway", sql=_folder_or_files(project, folder, files))


def _sql(project: ProjectFiles) -> Iterator[Migration]:
    schema = [path for path in project.named(*_SCHEMA_FILES) if project.text(path)]
    folders: dict[PurePosixPath, list[PurePosixPath]] = {}
    for path in project.named("*.sql"):
        if path.parent.name in _SQL_FOLDERS and not _FLYWAY.fullmatch(path.name):
            folders.setdefault(path.parent, []).append(path)
        elif path.name == "up.sql" and path.parent.parent.name == "migrations":  # diesel
            folders.setdefault(path.parent.parent, []).append(path)
    for folder, files in folders.items():
        yield from _folder(project, folder, files)
    if schema and not folders:
        yield Migration(schema[0].parent, schema[0], "sql", sql=(schema[0],))


def _folder(project: ProjectFiles, folder: PurePosixPath, files: list[PurePosixPath]) -> Iterator[Migration]:
    forward = sorted(path for path in files if not re.search(r"[._-](down|undo|rollback|revert)\.sql$", path.name))
    if len(files) > MAX_SQL or not forward:
        return
    two_ways = next((match[1] for path in forward if (match := _TWO_WAYS.search(project.text(path)))), "")
    if two_ways:
        yield Migration(folder, folder, {"migrate:": "dbmate", "+goose": "goose"}.get(two_ways, "sql-migrate"))
    else:
        yield Migration(folder, folder, "sql", sql=_folder_or_files(project, folder, forward))


def _folder_or_files(project: ProjectFiles, folder: PurePosixPath, files: list[PurePosixPath]) -> tuple[PurePosixPath, ...]:
    """The folder where its files in the order of their names are exactly *files*."""
    all_there = sorted(path for path in project.files if path.parent == folder and path.name.endswith((".sql", ".sql.gz")))
    return (folder,) if all_there == files else tuple(files)


def seed_steps(findings: ProjectFindings, servers: dict[str, NeededServer]) -> tuple[str, list[Step], list[str]]:
    """The database that is seeded, its steps, and notes for the reader where a migration cannot be one."""
    database = next((servers[kind] for kind in SQL if kind in servers and servers[kind].has_kind), None)
    if database is None:
        return "", [], []
    if by := _compose_migration(findings) or _run_at_start(findings.dependencies):
        return database.name, [], [f"The schema is made by {by}, so no seed step makes it; data could be seeded here as well."]
    steps: list[Step] = []
    notes: list[str] = []
    for migration in findings.migrations:
        if migration.kind in ("", database.kind):
            made = list(_steps(migration, findings))
            steps += made
            if not made:
                notes.append(f"{migration.file} is in the format of {migration.tool}: a `command:` with `in: host` could run it.")
    return database.name, steps, notes


def _compose_migration(findings: ProjectFindings) -> str:
    for service in findings.compose_services:
        if _MIGRATES.search(service.name) or _MIGRATES.search(service.command):
            return f"{service.name} ({findings.compose_file})"
    return ""


def _steps(migration: Migration, findings: ProjectFindings) -> Iterator[Step]:
    for path in migration.sql:
        yield (KeyValue("sql", path_from_environments(path), str(migration.file)),)
    if migration.command:
        inputs = OneLine(tuple(path_from_environments(PurePosixPath(pattern)) for pattern in migration.inputs))
        watched = [KeyValue("inputs", inputs, "what its result depends on")] if migration.inputs else []
        yield (*_command(migration, findings), *watched)


def _command(migration: Migration, findings: ProjectFindings) -> Step:
    """In the image of the service whose folder holds it; else on this machine, in that folder."""
    because = f"{migration.file}: {migration.tool}"
    service = _service_around(migration.folder, findings)
    if service:
        return KeyValue("command", migration.command, because), KeyValue("in", service, "in its image, with its env")
    command = in_folder(migration.folder, migration.command)
    return KeyValue("command", command, because), KeyValue("in", "host", "on this machine, with the outputs in its environment")


def _service_around(folder: PurePosixPath, findings: ProjectFindings) -> str:
    """The service built from the nearest folder around *folder*; empty where there is none."""
    built = [(service.dockerfile.parent, service.name) for service in findings.built_services]
    built += [(service.build_folder, service.name) for service in findings.compose_services if service.build_folder is not None]
    around = [(len(context.parts), name) for context, name in built if context == ROOT or folder.is_relative_to(context)]
    return max(around, key=lambda found: found[0], default=(0, ""))[1]
