"""Migrations -> seed steps of the database, and a note where they cannot be one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from envctl.init.meaning import SQL
from envctl.init.migrations import run_at_start
from envctl.init.model import ROOT, Entry, Flow, Migration, Name, Program, ProjectFindings
from envctl.init.own import up
from envctl.init.runners import from_folder
from envctl.init.servers import Server

Step = tuple[Entry, ...]
_MIGRATES = re.compile(r"migrat|alembic|flyway|liquibase|prisma|db:prepare|knex", re.IGNORECASE)


def seeds(evidence: ProjectFindings, known: dict[str, Server], programs: list[Program]) -> tuple[str, list[Step], list[str]]:
    """The database that is seeded, its steps, and notes for the reader."""
    database = next((known[kind] for kind in SQL if kind in known and known[kind].known), None)
    if database is None:
        return "", [], []
    if (by := _composed_migration(evidence)) or (by := run_at_start(evidence.dependencies)):
        return (
            database.name,
            [],
            [f"The schema is made by {by}, so no seed step makes it; data could be seeded here as well."],
        )
    steps: list[Step] = []
    notes: list[str] = []
    for migration in evidence.migrations:
        if migration.kind and migration.kind != database.kind:
            continue
        made = list(_steps(migration, evidence, programs))
        steps += made
        if not made:
            notes.append(f"{migration.file} is in the format of {migration.tool}: a `command:` with `in: host` could run it.")
    return database.name, steps, notes


def _composed_migration(evidence: ProjectFindings) -> str:
    """A service of the Compose file that migrates already."""
    for service in evidence.composed:
        if _MIGRATES.search(service.name) or _MIGRATES.search(service.command):
            return f"{service.name} ({evidence.compose})"
    return ""


def _steps(migration: Migration, evidence: ProjectFindings, programs: list[Program]) -> Iterator[Step]:
    for path in migration.sql:
        yield (Entry("sql", up(path), str(migration.file)),)
    if migration.command:
        inputs = Flow(tuple(up(Name(pattern)) for pattern in migration.inputs))
        watched = [Entry("inputs", inputs, "what its result depends on")] if migration.inputs else []
        yield (*_command(migration, evidence, programs), *watched)


def _command(migration: Migration, evidence: ProjectFindings, programs: list[Program]) -> Step:
    """In the image of the service whose folder holds it; else on this machine, in that folder."""
    because = f"{migration.file}: {migration.tool}"
    owner = _owner(migration.folder, evidence, programs)
    if owner:
        return Entry("command", migration.command, because), Entry("in", owner, "in its image, with its env")
    command = from_folder(migration.folder, "..", migration.command)
    return Entry("command", command, because), Entry("in", "host", "on this machine, with the outputs in its environment")


def _owner(folder: Name, evidence: ProjectFindings, programs: list[Program]) -> str:
    """The service built from the nearest folder around *folder*."""
    built = [(program.dockerfile.parent, program.name) for program in programs]
    built += [(service.built, service.name) for service in evidence.composed if service.built is not None]
    around = [(len(context.parts), name) for context, name in built if context == ROOT or folder.is_relative_to(context)]
    longest = max((length for length, _ in around), default=0)
    return next((name for length, name in around if length == longest), "")
