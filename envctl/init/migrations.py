"""Find migrations: the tools and SQL files that create the schema of a project's database."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import groupby
from pathlib import PurePosixPath

from envctl.init.migration_tools import TOOLS, MigrationTool
from envctl.init.model import DIALECT, ROOT, URL, Migration
from envctl.init.project_files import ProjectFiles, as_map
from envctl.init.python_runner import python_runner

MAX_SQL = 200
MAX_INPUTS = 12
SCRIPTS = ("db:migrate", "migrate", "migrate:latest", "migrate:up", "migration:run", "migrations:run")
PYTHON = ("alembic", "flask", "python", "aerich", "yoyo")
"""Programs that a Python project installs in its own virtual environment."""
_FLYWAY = re.compile(r"V([\d._]+)__\w.*\.sql")
_SCHEMA_FILES = ("schema.sql", "init.sql", "structure.sql")
_SQL_FOLDERS = ("migrations", "migration")
_TWO_WAYS = re.compile(r"^--\s*(\+goose|migrate:|\+migrate)", re.MULTILINE)
"""Comments of goose, dbmate and sql-migrate. Their files also contain SQL that reverts the migration and cannot be run as a whole."""


def migrations(project: ProjectFiles, dependencies: Collection[str]) -> list[Migration]:
    """Return the migrations of the project, one for each folder. A tool is preferred to the SQL files that it reads."""
    tools = list(_tools(project, dependencies))
    of_flask = [tool.file.parent for tool in tools if tool.tool == "Flask-Migrate"]
    found = [*(tool for tool in tools if tool.tool != "Alembic" or tool.file.parent not in of_flask), *_rails(project), *_prisma(project)]
    found += [script for script in _scripts(project) if not any(_same(script.folder, other.folder) for other in found)]
    sql = [*_flyway(project), *_sql(project, dependencies)]
    return found + [step for step in sql if not any(_same(step.folder, other.folder) for other in found)]


def _same(folder: PurePosixPath, other: PurePosixPath) -> bool:
    return folder.is_relative_to(other) or other.is_relative_to(folder)


def _tools(project: ProjectFiles, dependencies: Collection[str]) -> Iterator[Migration]:
    for tool in TOOLS:
        if tool.dependencies and not any(name in dependencies for name in tool.dependencies):
            continue
        for path in project.named(*tool.files)[:5]:
            folder = _folder_of(tool, path)
            if folder is not None and re.search(tool.content, project.text(path)):
                command = tool.command.replace("FILE", str(path.relative_to(folder))).replace("APP", _flask_app(project, folder))
                runner = python_runner(project, folder) if command.split()[0] in PYTHON else ""
                yield Migration(folder, path, tool.name, command, _globs(project, folder, tool.inputs), runner=runner)


def _folder_of(tool: MigrationTool, path: PurePosixPath) -> PurePosixPath | None:
    """Return the folder to start the tool in; None if *path* is not in the folder that the tool requires."""
    if not tool.inside:
        return path.parent
    ends = PurePosixPath(tool.inside).parts
    return path.parents[len(ends)] if path.parent.parts[-len(ends) :] == ends else None


def _flask_app(project: ProjectFiles, folder: PurePosixPath) -> str:
    """Return `--app NAME ` if Flask would not find the application itself, otherwise nothing."""
    told = any(
        "FLASK_APP" in project.text(path) for path in project.named(".flaskenv", "Dockerfile", ".env.example") if path.parent == folder
    )
    if told or any(project.has(folder / name) for name in ("app.py", "wsgi.py")):
        return ""
    modules = [path for path in project.files if path.parent == folder and path.suffix == ".py"]
    found = next((path.stem for path in modules if re.search(r"\bFlask\(|\bcreate_app\(", project.text(path))), "")
    return f"--app {found} " if found else ""


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
    """Return globs for the files below *folder* that match one of *ends*, one glob for each folder with such files."""
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


def _sql(project: ProjectFiles, dependencies: Collection[str]) -> Iterator[Migration]:
    # A Spring application loads the SQL files in its resources itself.
    schema = [
        path for path in project.named(*_SCHEMA_FILES) if project.text(path) and "resources" not in path.parts and not _is_foreign(path)
    ]
    folders: dict[PurePosixPath, list[PurePosixPath]] = {}
    for path in project.named("*.sql"):
        if path.parent.name in _SQL_FOLDERS and not _FLYWAY.fullmatch(path.name) and not _is_foreign(path):
            folders.setdefault(path.parent, []).append(path)
        elif path.name == "up.sql" and path.parent.parent.name == "migrations":  # Diesel's layout.
            folders.setdefault(path.parent.parent, []).append(path)
    for folder, files in folders.items():
        yield from (step._replace(kind=_dialect(folder)) for step in _folder(project, folder, files, dependencies))
    if schema and not folders:
        yield Migration(schema[0].parent, schema[0], "sql", sql=(schema[0],), kind=_dialect(schema[0]))


def _is_foreign(path: PurePosixPath) -> bool:
    """Return whether the path names a database that envctl has no kind for, so that the SQL is in a foreign dialect."""
    return any(re.fullmatch(r"h2|hsqldb|derby|sqlite3?|mssql|sqlserver|oracle|clickhouse|cassandra|spanner", part) for part in path.parts)


def _dialect(path: PurePosixPath) -> str:
    words = {word for part in path.parts for word in re.split(r"[^a-z]+", part.lower())}
    if words & {"postgres", "postgresql", "pg"}:
        return "postgres"
    return "mariadb" if words & {"mysql", "mariadb"} else ""


def _folder(project: ProjectFiles, folder: PurePosixPath, files: list[PurePosixPath], dependencies: Collection[str]) -> Iterator[Migration]:
    forward = sorted(path for path in files if not re.search(r"(?:^|[._-])(down|undo|rollback|revert)\.sql$", path.name))
    if len(files) > MAX_SQL or not forward:
        return
    two_ways = next((match[1] for path in forward if (match := _TWO_WAYS.search(project.text(path)))), "")
    if two_ways:
        name = {"migrate:": "dbmate", "+goose": "goose"}.get(two_ways, "sql-migrate")
        pattern = f"{folder}/*.sql" if folder.parts else "*.sql"
        yield Migration(ROOT, folder, name, _two_way_command(name, folder, dependencies), (pattern,))
    else:
        yield Migration(folder, folder, "sql", sql=_folder_or_files(project, folder, forward))


def _two_way_command(name: str, folder: PurePosixPath, dependencies: Collection[str]) -> str:
    if name == "dbmate":
        return f"dbmate --url {URL} --migrations-dir {folder} --no-dump-schema up"
    if name == "goose":
        program = "go run github.com/pressly/goose/v3/cmd/goose" if "github.com/pressly/goose" in dependencies else "goose"
        return f"{program} -dir {folder} {DIALECT} {URL} up"
    return "sql-migrate up"


def _folder_or_files(project: ProjectFiles, folder: PurePosixPath, files: list[PurePosixPath]) -> tuple[PurePosixPath, ...]:
    """Return *folder* if all its SQL files, sorted by name, are exactly *files*; otherwise *files*."""
    all_there = sorted(path for path in project.files if path.parent == folder and path.name.endswith((".sql", ".sql.gz")))
    return (folder,) if all_there == files else tuple(files)
