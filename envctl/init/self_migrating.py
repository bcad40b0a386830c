"""Recognise applications that create their schema when they start; migrating before the start would be a second way to do the same."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from envctl.definition.dockerfile_syntax import instructions
from envctl.init.code_variables import CODE, MAX_OF_FILE
from envctl.init.project_files import ProjectFiles

MAX_FILES = 2000
FRAMEWORKS = {
    "flyway-core": "Flyway", "flyway": "Flyway", "quarkus-flyway": "Flyway", "flyway-database-postgresql": "Flyway",
    "flyway-mysql": "Flyway",
    "liquibase-core": "Liquibase", "liquibase": "Liquibase", "quarkus-liquibase": "Liquibase",
}  # fmt: skip
"""Migration libraries that a framework runs when the application starts."""
_IN_CODE = re.compile(
    r"\.AutoMigrate\(|sqlx::migrate!|run_pending_migrations\(|\bmigrate\.New(?:WithDatabaseInstance|WithSourceInstance|WithInstance)?\("
    r"|\bgoose\.Up(?:Context)?\(|\bmigrate\.Exec(?:Context)?\(|migrationsRun:\s*true|synchronize:\s*true|\.Database\.(?:EnsureCreated|Migrate)(?:Async)?\("
    r"|\.migrate\.latest\(|\bcommand\.upgrade\(|umzug\.up\(|Migrator::up\(|runMigrations\(\s*\{|Flyway\.configure\("
)
_COMMAND = re.compile(
    r"alembic(?:\s\S+){0,9} upgrade|manage\.py migrate|flask(?:\s\S+){0,9} db upgrade|db:(?:migrate|prepare|setup)"
    r"|prisma (?:migrate deploy|db push)|migrate:latest|sequelize(?:-cli)? db:migrate|migration:run|migrate:(?:prod|up|deploy)"
    r"|artisan migrate|ecto\.migrate|\bmigrate .{0,80}\bup\b|goose .{0,80}\bup\b|flyway migrate|liquibase .{0,80}update|dbmate .{0,40}up"
    r"|diesel migration run|sqlx migrate run|aerich upgrade"
)
_SCRIPT = re.compile(r"[\w./-]{1,100}\.(?:sh|bash)\b|(?:docker-)?entrypoint[\w-]{0,20}")


def migrates_itself(project: ProjectFiles, dependencies: Collection[str], has_service: bool) -> str:
    """Return what creates the schema when the application starts, as text for the user; empty if nothing does.

    Args:
        dependencies: the names of the project's dependencies.
        has_service: whether the application is a service of the environment, so that the start command of its image counts.
    """
    framework = next((tool for name, tool in FRAMEWORKS.items() if name in dependencies), "")
    if framework:
        return framework
    if has_service and (file := next(_starting(project), None)):
        return f"the start of the image ({file})"
    for path in [path for path in project.files if path.suffix in CODE][:MAX_FILES]:
        if (match := _IN_CODE.search(project.text(path)[:MAX_OF_FILE])) and path.name != "env.py":
            return f"the code itself ({path}: {match[0].strip('(')})"
    return ""


def _starting(project: ProjectFiles) -> Iterator[PurePosixPath]:
    """Yield Dockerfiles whose start command migrates the database, and the scripts that such a command runs for it."""
    for path in project.named("Dockerfile", "Containerfile", "Dockerfile.*", "*.Dockerfile")[:20]:
        for step in instructions(project.text(path)):
            if step.name not in ("CMD", "ENTRYPOINT"):
                continue
            words = re.sub(r"""["',\[\]\s]+""", " ", step.rest)
            if _COMMAND.search(words):
                yield path
            names = {PurePosixPath(name).name for name in _SCRIPT.findall(words)}
            yield from (script for script in project.named(*names) if _COMMAND.search(project.text(script)))
            yield from _package_that_migrates(project, path, words)


def _package_that_migrates(project: ProjectFiles, dockerfile: PurePosixPath, words: str) -> list[PurePosixPath]:
    """Return the package.json beside *dockerfile*, in a list, if *words* start one of its scripts that migrates the database."""
    file = dockerfile.parent / "package.json"
    script = re.search(r"\b(?:npm|yarn|pnpm)(?: run)? ([\w:-]+)", words)
    text = str((project.tree(file).get("scripts") or {}).get(script[1])) if script and project.has(file) else ""
    return [file] if _COMMAND.search(text) else []
