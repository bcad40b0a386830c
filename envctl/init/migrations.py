"""Migrations: what makes the schema. A tool that a file gives away is an entry of TOOLS; SQL has rules of its own."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby

from envctl.init.model import Migration, Name
from envctl.init.project import Project

MAX_SQL = 200
MAX_INPUTS = 12


@dataclass(frozen=True)
class Tool:
    name: str
    files: tuple[str, ...]
    command: str
    inputs: tuple[str, ...]
    """The ends of the paths of what its result depends on."""
    content: str = ""
    """What one of the files must hold."""


TOOLS = (
    Tool("alembic", ("alembic.ini",), "alembic upgrade head", ("alembic.ini", "versions/*.py")),
    Tool("django", ("manage.py",), "python manage.py migrate --noinput", ("migrations/*.py",), "django"),
    Tool(
        "knex",
        ("knexfile.js", "knexfile.ts", "knexfile.cjs", "knexfile.mjs"),
        "npx knex migrate:latest",
        ("migrations/*",),
    ),
    Tool("sequelize", (".sequelizerc",), "npx sequelize-cli db:migrate", ("migrations/*",)),
    Tool("drizzle", ("drizzle.config.ts", "drizzle.config.js"), "npx drizzle-kit migrate", ("drizzle/*.sql",)),
    Tool("laravel", ("artisan",), "php artisan migrate --force", ("database/migrations/*",)),
)
AT_START = ("flyway", "liquibase")
"""Tools that an application's framework runs when it starts."""
SCRIPTS = ("db:migrate", "migrate", "migrate:latest", "migrate:up", "migration:run", "migrations:run")
_FLYWAY = re.compile(r"V([\d._]+)__\w.*\.sql")
_SCHEMA_FILES = ("schema.sql", "init.sql", "structure.sql")
_SQL_FOLDERS = ("migrations", "migration")
_OWN_FORMAT = re.compile(r"^--\s*(\+goose|migrate:|\+migrate)", re.MULTILINE)
"""goose, dbmate, sql-migrate: the way back stands in the same file."""


def migrations(project: Project, dependencies: Collection[str]) -> list[Migration]:
    """How the schema of the project is made, one way for each folder; tools win over the SQL files that they read."""
    found = [*_tools(project), *_rails(project), *_prisma(project)]
    found += [script for script in _scripts(project) if not any(_same(script.folder, other.folder) for other in found)]
    at_start = any(word in name for name in dependencies for word in AT_START)
    sql = [] if at_start else [*_flyway(project), *_sql(project)]
    return found + [step for step in sql if not any(_same(step.folder, other.folder) for other in found)]


def run_at_start(dependencies: Collection[str]) -> str:
    """The tool that migrates when the application starts; empty where there is none."""
    return next((word for word in AT_START if any(word in name for name in dependencies)), "")


def _same(folder: Name, other: Name) -> bool:
    return folder.is_relative_to(other) or other.is_relative_to(folder)


def _tools(project: Project) -> Iterator[Migration]:
    for tool in TOOLS:
        for path in project.named(*tool.files)[:5]:
            if tool.content in project.text(path):
                yield Migration(path.parent, path, tool.name, tool.command, _globs(project, path.parent, tool.inputs))


def _rails(project: Project) -> Iterator[Migration]:
    for path in project.named("rails"):
        if path.parent.name == "bin":
            folder = path.parent.parent
            yield Migration(folder, path, "rails", "bin/rails db:prepare", _globs(project, folder, ("db/*.rb", "db/migrate/*.rb")))


def _prisma(project: Project) -> Iterator[Migration]:
    for path in project.named("schema.prisma")[:5]:
        provider = re.search(r'provider\s*=\s*"(postgresql|mysql|cockroachdb)"', project.text(path))
        if provider is None:
            continue
        folder = path.parent.parent if path.parent.name == "prisma" else path.parent
        has_migrations = project.has(path.parent / "migrations")
        command = "npx prisma migrate deploy" if has_migrations else "npx prisma db push --skip-generate"
        inputs = _globs(project, path.parent, ("schema.prisma", "migrations/*/*.sql"))
        yield Migration(folder, path, "prisma", command, inputs, kind="mariadb" if provider[1] == "mysql" else "postgres")


def _scripts(project: Project) -> Iterator[Migration]:
    for path in project.named("package.json")[:20]:
        scripts = project.tree(path).get("scripts")
        name = next((name for name in SCRIPTS if isinstance(scripts, dict) and name in scripts), None)
        if name:
            yield Migration(
                path.parent,
                path,
                f"the script {name}",
                f"npm run {name}",
                _globs(project, path.parent, ("migrations/*",)),
            )


def _globs(project: Project, folder: Name, ends: Collection[str]) -> tuple[str, ...]:
    """The files below *folder* that end like one of *ends*, as one glob for each folder that has some."""
    found: dict[str, None] = {}
    for path in project.below(folder):
        for end in ends:
            if path.match(end):
                parent = "/".join([*path.parts[: len(path.parts) - end.count("/") - 1], *end.split("/")[:-1]])
                found[str(Name(parent, end.rpartition("/")[2]))] = None
    return tuple(found)[:MAX_INPUTS]


def _flyway(project: Project) -> Iterator[Migration]:
    named = [path for path in project.named("V*__*.sql") if _FLYWAY.fullmatch(path.name)]
    for folder, group in groupby(sorted(named, key=lambda path: path.parent), key=lambda path: path.parent):
        files = sorted(group, key=lambda path: _version(path.name))
        yield Migration(folder, folder, "flyway", sql=_folder_or_files(project, folder, files))


def _version(name: str) -> tuple[int, ...]:
    match = _FLYWAY.fullmatch(name)
    return tuple(int(part) for part in re.findall(r"\d+", match[1])) if match else ()


def _sql(project: Project) -> Iterator[Migration]:
    schema = [path for path in project.named(*_SCHEMA_FILES) if project.text(path)]
    folders: dict[Name, list[Name]] = {}
    for path in project.named("*.sql"):
        if path.parent.name in _SQL_FOLDERS and not _FLYWAY.fullmatch(path.name):
            folders.setdefault(path.parent, []).append(path)
        elif path.name == "up.sql" and path.parent.parent.name == "migrations":  # diesel
            folders.setdefault(path.parent.parent, []).append(path)
    for folder, files in folders.items():
        yield from _folder(project, folder, files)
    if schema and not folders:
        yield Migration(schema[0].parent, schema[0], "sql", sql=(schema[0],))


def _folder(project: Project, folder: Name, files: list[Name]) -> Iterator[Migration]:
    forward = sorted(path for path in files if not re.search(r"[._-](down|undo|rollback|revert)\.sql$", path.name))
    if len(files) > MAX_SQL or not forward:
        return
    own_format = next((match[1] for path in forward if (match := _OWN_FORMAT.search(project.text(path)))), "")
    if own_format:
        yield Migration(folder, folder, {"migrate:": "dbmate", "+goose": "goose"}.get(own_format, "sql-migrate"))
    else:
        yield Migration(folder, folder, "sql", sql=_folder_or_files(project, folder, forward))


def _folder_or_files(project: Project, folder: Name, files: list[Name]) -> tuple[Name, ...]:
    """The folder where its files in the order of their names are exactly *files*."""
    all_there = sorted(path for path in project.files if path.parent == folder and path.name.endswith((".sql", ".sql.gz")))
    return (folder,) if all_there == files else tuple(files)
